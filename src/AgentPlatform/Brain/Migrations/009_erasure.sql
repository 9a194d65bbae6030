SELECT kernel.let_erase('brain.intent_ledger', 'guard_intent');
