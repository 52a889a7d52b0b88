ALTER TABLE "accounts" DROP CONSTRAINT "accounts_oauth_has_refresh_token";--> statement-breakpoint
ALTER TABLE "accounts" ADD CONSTRAINT "accounts_oauth_has_refresh_token" CHECK ("accounts"."kind" <> 'oauth' or "accounts"."refresh_token" is not null
        or ("accounts"."refresh_from" is null and ("accounts"."generation" = 1 or "accounts"."generation" % 100000 = 0)));