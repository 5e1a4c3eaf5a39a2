from django.db import migrations

REFUSE = """
CREATE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only';
END $$;
CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tenants_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_event_change();
"""
ALLOW = "DROP TRIGGER event_append_only ON tenants_event; DROP FUNCTION refuse_event_change();"


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
