-- Which older versions of the library may still use this schema.
--
-- A migration that breaks them sets breaking_version to its own number, inside its own file, so that golang-migrate
-- records it as well. A library that knows no migration of that number refuses the database.

CREATE TABLE schema_compatibility (
    only_row         BOOLEAN NOT NULL DEFAULT true,
    breaking_version BIGINT  NOT NULL,
    CONSTRAINT schema_compatibility_pkey PRIMARY KEY (only_row),
    CONSTRAINT schema_compatibility_has_one_row CHECK (only_row)
);

INSERT INTO schema_compatibility (breaking_version)
VALUES (9);
