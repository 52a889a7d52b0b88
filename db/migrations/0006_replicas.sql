CREATE UNLOGGED TABLE "acknowledgements" (
	"ending_id" uuid NOT NULL,
	"replica" uuid NOT NULL,
	"streams" integer NOT NULL,
	CONSTRAINT "acknowledgements_ending_id_replica_pk" PRIMARY KEY("ending_id","replica")
);
--> statement-breakpoint
CREATE UNLOGGED TABLE "replicas" (
	"id" uuid PRIMARY KEY NOT NULL,
	"seen_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "acknowledgements" ADD CONSTRAINT "acknowledgements_ending_id_endings_id_fk" FOREIGN KEY ("ending_id") REFERENCES "public"."endings"("id") ON DELETE cascade ON UPDATE no action;