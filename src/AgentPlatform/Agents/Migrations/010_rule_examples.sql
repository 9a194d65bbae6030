-- Sentences that the agent's classifier learns from, beside phrases, patterns and expressions.
ALTER TABLE agents.rules DROP CONSTRAINT chk_rules_condition_kind;
ALTER TABLE agents.rules ADD CONSTRAINT chk_rules_condition_kind CHECK (condition_kind IN ('phrases', 'pattern', 'expression', 'examples'));
