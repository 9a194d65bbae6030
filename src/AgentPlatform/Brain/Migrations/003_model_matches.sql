-- A request that a language model understood.
ALTER TABLE brain.intent_ledger DROP CONSTRAINT intent_ledger_match_type_known;
ALTER TABLE brain.intent_ledger ADD CONSTRAINT intent_ledger_match_type_known CHECK (match_type IN ('exact', 'synonym', 'fuzzy', 'model', 'not_found'));
