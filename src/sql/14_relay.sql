-- ------------------------------------------------------------------------------------------------------------------
-- 14 Relay: how the outbox gets to Kafka
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle_relay_setup(slot text DEFAULT 'settle_relay', command_id uuid DEFAULT NULL) RETURNS pg_lsn
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp AS $$
DECLARE
	found pg_replication_slots;
	earlier jsonb;
	plugins text;
	start pg_lsn;
BEGIN
	-- A slot cannot be made in a transaction that has written, so the command is looked up first and recorded last.
	IF command_id IS NOT NULL THEN
		earlier := settle.command_find(command_id, 'settle_relay_setup', jsonb_build_object('slot', slot));
		IF earlier IS NOT NULL THEN
			RETURN earlier #>> '{}';
		END IF;
	END IF;
	IF current_setting('wal_level') <> 'logical' THEN
		RAISE EXCEPTION 'wal_level is %, but a logical replication slot needs logical', current_setting('wal_level')
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Put this line into postgresql.conf and restart the server: wal_level = logical';
	END IF;
	-- Minor releases since 2026 allow only the plugins of this list.
	plugins := current_setting('output_plugin_libraries', true);
	IF plugins IS NOT NULL AND NOT 'settle' = ANY (string_to_array(replace(plugins, ' ', ''), ',')) THEN
		RAISE EXCEPTION 'output plugin "settle" is not in output_plugin_libraries'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = format('Put this line into postgresql.conf and reload the server: output_plugin_libraries = ''%s''',
					concat_ws(', ', nullif(plugins, ''), 'settle'));
	END IF;
	SELECT * INTO found FROM pg_replication_slots WHERE slot_name = slot;
	IF found.slot_name IS NOT NULL THEN
		RAISE EXCEPTION 'replication slot "%" exists already', slot
			USING ERRCODE = 'duplicate_object', DETAIL = format('It is of plugin %s in database %s.', found.plugin, found.database),
				HINT = 'A relay goes on with it; to begin anew, SELECT pg_drop_replication_slot(…) first.';
	END IF;
	SELECT lsn INTO start FROM pg_create_logical_replication_slot(slot, 'settle');
	IF settle.command_claim(command_id, 'settle_relay_setup', jsonb_build_object('slot', slot)) IS NOT NULL THEN
		RAISE EXCEPTION 'another session has just executed this command' USING ERRCODE = 'serialization_failure';
	END IF;
	PERFORM settle.command_finish(command_id, to_jsonb(start::text));
	RETURN start;
END $$;
COMMENT ON FUNCTION settle_relay_setup(text, uuid) IS 'makes the replication slot that settle-relay reads the outbox from; events written from now on are kept until the relay has brought them to Kafka. Returns where it begins. For settle_admin; not in a transaction that has written. Errors: 55000 wal_level or output_plugin_libraries, 42710 the slot exists, 53400 no free slot (max_replication_slots), ST012 command id used otherwise';
