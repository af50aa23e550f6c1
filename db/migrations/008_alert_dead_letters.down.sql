-- Refuses to drop rows unless the session says: SET tripwire.allow_data_loss = 'on'.
DO $$
BEGIN
    IF EXISTS (SELECT FROM alert_dead_letters)
        AND current_setting('tripwire.allow_data_loss', true) IS DISTINCT FROM 'on'
    THEN
        RAISE EXCEPTION 'alert_dead_letters holds rows, and this step would drop them'
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'tripwire-storage migrate down --allow-data-loss, or SET tripwire.allow_data_loss = ''on''';
    END IF;
END
$$;

DROP TABLE alert_dead_letters;
