ALTER TABLE "peers" ADD COLUMN "name" text;--> statement-breakpoint
ALTER TABLE "sightings" ADD COLUMN "name" text;