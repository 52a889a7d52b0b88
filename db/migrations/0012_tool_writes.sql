CREATE TABLE "tool_writes" (
	"pack" text NOT NULL,
	"seller" text NOT NULL,
	"tool" text NOT NULL,
	"about" text NOT NULL,
	"state" text DEFAULT 'sent' NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tool_writes_pack_seller_tool_about_pk" PRIMARY KEY("pack","seller","tool","about")
);
