CREATE TABLE "connect_attempts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"state_fingerprint" "bytea" NOT NULL,
	"browser_fingerprint" "bytea" NOT NULL,
	"provider" text NOT NULL,
	"site" text,
	"platform" text,
	"callback_path" text NOT NULL,
	"person_id" uuid,
	"expected_seller_id" text,
	"verifier_sealed" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "connect_attempts_state_fingerprint_unique" UNIQUE("state_fingerprint")
);
--> statement-breakpoint
CREATE TABLE "people" (
	"id" uuid PRIMARY KEY NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sign_ins" (
	"id" uuid PRIMARY KEY NOT NULL,
	"person_id" uuid NOT NULL,
	"cookie_fingerprint" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "sign_ins_cookie_fingerprint_unique" UNIQUE("cookie_fingerprint")
);
--> statement-breakpoint
CREATE TABLE "calls" (
	"id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"person_id" uuid NOT NULL,
	"account_id" uuid,
	"session_id" uuid,
	"request_id" text NOT NULL,
	"upstream" text NOT NULL,
	"http_method" text NOT NULL,
	"rpc_method" text,
	"name" text,
	"status" integer NOT NULL,
	"upstream_status" integer,
	"duration_ms" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "accounts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"person_id" uuid NOT NULL,
	"provider" text NOT NULL,
	"seller_id" text NOT NULL,
	"label" text,
	"site" text,
	"kind" text NOT NULL,
	"state" text NOT NULL,
	"generation" integer DEFAULT 1 NOT NULL,
	"access_token" "bytea" NOT NULL,
	"refresh_token" "bytea",
	"scope" text,
	"access_expires_at" timestamp with time zone,
	"refresh_expires_at" timestamp with time zone,
	"lease_holder" uuid,
	"lease_until" timestamp with time zone,
	"failures" integer DEFAULT 0 NOT NULL,
	"retry_at" timestamp with time zone,
	"last_error" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "accounts_kind" CHECK ("accounts"."kind" in ('oauth', 'static')),
	CONSTRAINT "accounts_state" CHECK ("accounts"."state" in ('active', 'reconnect_required', 'revoked')),
	CONSTRAINT "accounts_oauth_has_refresh_token" CHECK ("accounts"."kind" <> 'oauth' or "accounts"."refresh_token" is not null)
);
--> statement-breakpoint
CREATE TABLE "refresh_events" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id" uuid NOT NULL,
	"event" text NOT NULL,
	"generation" integer NOT NULL,
	"request_id" text NOT NULL,
	"code" text,
	"provider_status" integer,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"person_id" uuid NOT NULL,
	"account_id" uuid NOT NULL,
	"platform" text,
	"token_fingerprint" "bytea" NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "sessions_token_fingerprint_unique" UNIQUE("token_fingerprint")
);
--> statement-breakpoint
ALTER TABLE "connect_attempts" ADD CONSTRAINT "connect_attempts_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sign_ins" ADD CONSTRAINT "sign_ins_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "calls" ADD CONSTRAINT "calls_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "refresh_events" ADD CONSTRAINT "refresh_events_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_person_id_people_id_fk" FOREIGN KEY ("person_id") REFERENCES "public"."people"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "connect_attempts_expiry" ON "connect_attempts" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "connect_attempts_person" ON "connect_attempts" USING btree ("person_id");--> statement-breakpoint
CREATE INDEX "sign_ins_person" ON "sign_ins" USING btree ("person_id");--> statement-breakpoint
CREATE INDEX "calls_person" ON "calls" USING btree ("person_id");--> statement-breakpoint
CREATE INDEX "calls_at" ON "calls" USING btree ("at");--> statement-breakpoint
CREATE UNIQUE INDEX "accounts_one_live_per_seller" ON "accounts" USING btree ("provider","seller_id") WHERE "accounts"."state" <> 'revoked';--> statement-breakpoint
CREATE INDEX "accounts_person" ON "accounts" USING btree ("person_id");--> statement-breakpoint
CREATE INDEX "accounts_due" ON "accounts" USING btree ("access_expires_at");--> statement-breakpoint
CREATE INDEX "refresh_events_account" ON "refresh_events" USING btree ("account_id","at");--> statement-breakpoint
CREATE INDEX "sessions_person" ON "sessions" USING btree ("person_id");--> statement-breakpoint
CREATE INDEX "sessions_account" ON "sessions" USING btree ("account_id");