-- The ledger stays: an erased person's events keep amount, kind and cause, and lose their words.
SELECT kernel.let_erase('credits.credit_events', 'refuse_change');
