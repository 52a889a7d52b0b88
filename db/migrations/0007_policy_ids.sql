ALTER TABLE "grants" ADD COLUMN "policy_id" uuid GENERATED ALWAYS AS (md5(person_id::text || '|' || account_id::text || '|' || upstream || '|' || client_id)::uuid) STORED NOT NULL;--> statement-breakpoint
CREATE INDEX "grants_policy" ON "grants" USING btree ("policy_id");--> statement-breakpoint
INSERT INTO "switches" ("subject", "reason", "by", "at")
	SELECT DISTINCT ON (g."policy_id") 'grant:' || g."policy_id", s."reason", s."by", s."at"
	FROM "switches" s JOIN "grants" g ON s."subject" = 'grant:' || g."id"
	ORDER BY g."policy_id", s."by" DESC, s."at" DESC
	ON CONFLICT DO NOTHING;--> statement-breakpoint
INSERT INTO "tool_policies" ("subject", "allow", "deny", "approve")
	SELECT DISTINCT ON (g."policy_id") 'grant:' || g."policy_id", p."allow", p."deny", p."approve"
	FROM "tool_policies" p JOIN "grants" g ON p."subject" = 'grant:' || g."id"
	ORDER BY g."policy_id", p."at" DESC
	ON CONFLICT DO NOTHING;--> statement-breakpoint
UPDATE "approvals" a SET "caller" = 'grant:' || g."policy_id" FROM "grants" g WHERE a."caller" = 'grant:' || g."id";
