-- What a newer version's migration may do beside an older one that runs: new columns in tables that are read all the time.
ALTER TABLE conversations.conversations ADD COLUMN added_by_a_newer_version text;
ALTER TABLE conversations.messages ADD COLUMN added_by_a_newer_version text;
ALTER TABLE conversations.sessions ADD COLUMN added_by_a_newer_version text;
ALTER TABLE contacts.customer_profiles ADD COLUMN added_by_a_newer_version text;
ALTER TABLE channels.inbound_messages ADD COLUMN added_by_a_newer_version text;
ALTER TABLE messaging.message_queue ADD COLUMN added_by_a_newer_version text;
ALTER TABLE actions.action_registry ADD COLUMN added_by_a_newer_version text;
ALTER TABLE actions.action_queue ADD COLUMN added_by_a_newer_version text;
ALTER TABLE brain.intent_ledger ADD COLUMN added_by_a_newer_version text;
ALTER TABLE work.items ADD COLUMN added_by_a_newer_version text;
