-- By which version of which template set the model was told what it was told; null: by the built-in wording.
ALTER TABLE models.agent_actions_log
    ADD COLUMN template_set_id uuid,
    ADD COLUMN prompt_version  integer,
    ADD CONSTRAINT call_prompt_version_is_whole CHECK ((template_set_id IS NULL) = (prompt_version IS NULL));
