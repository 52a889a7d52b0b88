CREATE TABLE "check_reports" (
	"id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"by" text NOT NULL,
	"ended_at" timestamp with time zone,
	"extent" text,
	"status" text,
	"counts" jsonb,
	"report" text
);
