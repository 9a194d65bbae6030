-- A key that was made for another member does not act on the member's account, nor on the tenants that the account has (decision 0802).
-- Row security hides all tenants' rows from the owner of the table, too, who migrates: for this statement it does not.
ALTER TABLE identity.api_keys NO FORCE ROW LEVEL SECURITY;
UPDATE identity.api_keys SET scopes = scopes || array(SELECT denied FROM unnest('{-account,-tenants}'::text[]) AS denied WHERE denied <> ALL (scopes))
WHERE '-approvals' = ANY (scopes);
ALTER TABLE identity.api_keys FORCE ROW LEVEL SECURITY;
