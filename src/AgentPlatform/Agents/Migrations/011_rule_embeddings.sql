-- Sentences that a message is compared with, and how near to one of them it has to come.
ALTER TABLE agents.rules DROP CONSTRAINT chk_rules_condition_kind;
ALTER TABLE agents.rules
    ADD CONSTRAINT chk_rules_condition_kind CHECK (condition_kind IN ('phrases', 'pattern', 'expression', 'examples', 'embedding')),
    ADD COLUMN threshold numeric(3, 2),
    ADD CONSTRAINT rule_threshold_is_a_cosine CHECK (threshold BETWEEN 0.30 AND 1.00),
    ADD CONSTRAINT rule_threshold_goes_with_embeddings CHECK ((threshold IS NOT NULL) = (condition_kind = 'embedding'));
