-- Without these columns nobody can tell any more whether a row was altered.
DO $$
BEGIN
    IF (EXISTS (SELECT FROM audit_entries WHERE hash_version > 0) OR EXISTS (SELECT FROM audit_prunings))
        AND current_setting('tripwire.allow_data_loss', true) IS DISTINCT FROM 'on'
    THEN
        RAISE EXCEPTION 'audit_entries holds protected rows, and this step would take their protection away'
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'tripwire-storage migrate down --allow-data-loss, or SET tripwire.allow_data_loss = ''on''';
    END IF;
END
$$;

DROP TRIGGER audit_entries_refuse_delete ON audit_entries;
DROP TRIGGER audit_entries_refuse_update ON audit_entries;
DROP TRIGGER audit_entries_continue_chain ON audit_entries;
DROP TABLE audit_prunings;
DROP FUNCTION audit_refuse_delete();
DROP FUNCTION audit_refuse_change();
DROP FUNCTION audit_entries_continue_chain();
DROP FUNCTION recognise_audit_entries(UUID[], UUID[], BIGINT[], TEXT[]);
DROP FUNCTION lock_audit_chains(UUID[]);

ALTER TABLE audit_entries
    DROP COLUMN row_hash,
    DROP COLUMN hash_version;
