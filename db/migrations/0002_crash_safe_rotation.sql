CREATE TABLE "provider_slots" (
	"provider" text NOT NULL,
	"slot" integer NOT NULL,
	"holder" uuid,
	"until" timestamp with time zone,
	CONSTRAINT "provider_slots_provider_slot_pk" PRIMARY KEY("provider","slot")
);
--> statement-breakpoint
CREATE TABLE "provider_states" (
	"provider" text PRIMARY KEY NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	"closed_until" timestamp with time zone,
	"probe_until" timestamp with time zone,
	"refused_code" text,
	"refused_registration" text
);
--> statement-breakpoint
ALTER TABLE "accounts" DROP CONSTRAINT "accounts_state";--> statement-breakpoint
DROP INDEX "accounts_due";--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "intents" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "intent_generation" integer;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "intent_journal" uuid;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "failing_since" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "exhausted_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "refresh_from" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "kept_alive_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "accounts" ADD COLUMN "lapse_warned_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "accounts_intents" ON "accounts" USING btree ("intent_journal") WHERE "accounts"."intents" > 0;--> statement-breakpoint
CREATE INDEX "accounts_due" ON "accounts" USING btree ("refresh_from");--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_state" CHECK ("accounts"."state" in ('active', 'ambiguous', 'reconnect_required', 'revoking', 'revoked'));--> statement-breakpoint
UPDATE "accounts" SET "refresh_from" = "access_expires_at" - interval '5 minutes' WHERE "kind" = 'oauth';
