-- The application appends all events of a transaction in one statement, which numbers each aggregate once, and says so by
-- app.numbering = 'done'. Whoever inserts an event by other means has it numbered by the trigger, as before.

DROP TRIGGER number_event ON events.events;
CREATE TRIGGER number_event BEFORE INSERT ON events.events
    FOR EACH ROW WHEN (current_setting('app.numbering', true) IS DISTINCT FROM 'done') EXECUTE FUNCTION events.number_event();
