CREATE INDEX "calls_person_id" ON "calls" USING btree ("person_id","id");--> statement-breakpoint
CREATE INDEX "accounts_in_doubt" ON "accounts" USING btree ("state","last_error") WHERE "accounts"."state" in ('ambiguous', 'reconnect_required', 'revoking');--> statement-breakpoint
CREATE TABLE "call_counts" (
	"span" text NOT NULL,
	"slot" timestamp with time zone NOT NULL,
	"upstream" text NOT NULL,
	"caller" text NOT NULL,
	"account" text NOT NULL,
	"guard" text NOT NULL,
	"calls" integer NOT NULL,
	"failed" integer NOT NULL,
	"durations" integer[] NOT NULL,
	CONSTRAINT "call_counts_span_slot_upstream_caller_account_guard_pk" PRIMARY KEY("span","slot","upstream","caller","account","guard"),
	CONSTRAINT "call_counts_span" CHECK ("call_counts"."span" in ('minute', 'hour', 'day'))
);--> statement-breakpoint
CREATE TABLE "operator_actions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"about" text NOT NULL,
	"outcome" text
);--> statement-breakpoint
ALTER TABLE "alerts" ADD COLUMN "acknowledged_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "alerts" ADD COLUMN "acknowledged_by" text;--> statement-breakpoint
ALTER TABLE "grants" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "review_keys" ADD COLUMN "role" text DEFAULT 'auditor' NOT NULL;--> statement-breakpoint
ALTER TABLE "review_keys" ADD COLUMN "subject" text DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE INDEX "call_counts_caller" ON "call_counts" USING btree ("caller","slot");--> statement-breakpoint
CREATE INDEX "operator_actions_at" ON "operator_actions" USING btree ("at");--> statement-breakpoint
CREATE INDEX "grants_expiry" ON "grants" USING btree ("expires_at") WHERE "grants"."ended_at" is null;--> statement-breakpoint
DROP INDEX "calls_person";