CREATE TABLE "call_batches" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"day" date NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"digests" "bytea" NOT NULL,
	"before" "bytea",
	"link" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "approvals" (
	"id" uuid PRIMARY KEY NOT NULL,
	"caller" text NOT NULL,
	"person_id" uuid,
	"account_id" uuid,
	"agent" text NOT NULL,
	"upstream" text NOT NULL,
	"tool" text NOT NULL,
	"arguments_hash" text NOT NULL,
	"arguments" "bytea",
	"state" text DEFAULT 'pending' NOT NULL,
	"extent" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"decided_at" timestamp with time zone,
	"decided_by" text,
	CONSTRAINT "approvals_state" CHECK ("approvals"."state" in ('pending', 'approved', 'refused', 'used')),
	CONSTRAINT "approvals_extent" CHECK ("approvals"."extent" in ('once', 'hour', 'always'))
);
--> statement-breakpoint
CREATE TABLE "review_keys" (
	"fingerprint" "bytea" PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tallies" (
	"key" text PRIMARY KEY NOT NULL,
	"level" double precision NOT NULL,
	"most" integer,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tool_definitions" (
	"upstream" text NOT NULL,
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"definition" text NOT NULL,
	"nature" text NOT NULL,
	"state" text NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"decided_at" timestamp with time zone,
	"decided_by" text,
	CONSTRAINT "tool_definitions_upstream_name_hash_pk" PRIMARY KEY("upstream","name","hash"),
	CONSTRAINT "tool_definitions_state" CHECK ("tool_definitions"."state" in ('approved', 'held'))
);
--> statement-breakpoint
CREATE TABLE "tool_lists" (
	"upstream" text PRIMARY KEY NOT NULL,
	"first_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"is_complete" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "tool_policies" (
	"subject" text PRIMARY KEY NOT NULL,
	"allow" text[],
	"deny" text[] DEFAULT '{}' NOT NULL,
	"approve" text[] DEFAULT '{}' NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "calls" ADD COLUMN "client_id" text;--> statement-breakpoint
ALTER TABLE "calls" ADD COLUMN "arguments_hash" text;--> statement-breakpoint
ALTER TABLE "calls" ADD COLUMN "guard" text;--> statement-breakpoint
ALTER TABLE "switches" ADD COLUMN "by" text DEFAULT 'operator' NOT NULL;--> statement-breakpoint
ALTER TABLE "consents" ADD COLUMN "only_reading" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "grants" ADD COLUMN "only_reading" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "approvals" ADD CONSTRAINT "approvals_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "call_batches_day" ON "call_batches" USING btree ("day");--> statement-breakpoint
CREATE INDEX "approvals_caller" ON "approvals" USING btree ("caller","tool");--> statement-breakpoint
CREATE INDEX "approvals_person" ON "approvals" USING btree ("person_id");--> statement-breakpoint
CREATE INDEX "approvals_expiry" ON "approvals" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "tallies_expiry" ON "tallies" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "tallies_budgets" ON "tallies" USING btree ("expires_at") WHERE "tallies"."most" is not null;