-- Whether the bouncer lets a contact pass only once the e-mail address is proved to be theirs.
ALTER TABLE tenancy.instance_configs ADD COLUMN verify_email boolean NOT NULL DEFAULT false;
