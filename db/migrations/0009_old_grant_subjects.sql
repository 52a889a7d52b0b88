DELETE FROM "switches" s USING "grants" g WHERE s."subject" = 'grant:' || g."id";--> statement-breakpoint
DELETE FROM "tool_policies" p USING "grants" g WHERE p."subject" = 'grant:' || g."id";
