CREATE TABLE "peers" (
	"of" text NOT NULL,
	"peer_id" text NOT NULL,
	"node_id" text NOT NULL,
	"trust" text NOT NULL,
	"address" text,
	"fleet_tag" text,
	"proven_address" text,
	"certificate" text,
	"agent_id" uuid,
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	"proven_at" timestamp with time zone,
	"proofs" integer DEFAULT 0 NOT NULL,
	"failures" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "peers_of_peer_id_pk" PRIMARY KEY("of","peer_id"),
	CONSTRAINT "peers_trust" CHECK ("peers"."trust" in ('pinned', 'fleet', 'forgotten'))
);
--> statement-breakpoint
CREATE TABLE "sightings" (
	"of" text NOT NULL,
	"peer_id" text NOT NULL,
	"node_id" text NOT NULL,
	"addresses" text[] NOT NULL,
	"via" text NOT NULL,
	"version" text,
	"seen_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	CONSTRAINT "sightings_of_peer_id_pk" PRIMARY KEY("of","peer_id"),
	CONSTRAINT "sightings_via" CHECK ("sightings"."via" in ('mdns', 'libp2p', 'challenge'))
);
--> statement-breakpoint
ALTER TABLE "peers" ADD CONSTRAINT "peers_agent_id_agents_id_fk" FOREIGN KEY ("agent_id") REFERENCES "public"."agents"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "peers_agent" ON "peers" USING btree ("agent_id");--> statement-breakpoint
CREATE INDEX "sightings_expiry" ON "sightings" USING btree ("expires_at");