-- Events of a person go with the person. Versions go on from where they were: nobody takes a later event for the first.
SELECT kernel.let_erase('events.events', 'refuse_change');
SELECT kernel.let_erase('events.archived_events', 'refuse_change');
