import { html } from "hono/html";
import type { Provider } from "#src/providers/provider.ts";
import type { Seller } from "./sellers.ts";

/** The pages of a provider in one: sign in as a seller and allow the application, or not. */
export async function loginPage(
  profile: Provider,
  asked: URLSearchParams,
  sellers: readonly Seller[],
): Promise<Response> {
  const application = asked.get("client_id");
  const document = await html`<!doctype html>
    <html lang="es">
      <head>
        <meta charset="utf-8" />
        <title>${profile.title} (simulado)</title>
        <link rel="icon" href="data:," />
      </head>
      <body>
        <h1>${profile.title} <small>(simulado)</small></h1>
        <p>
          La aplicación <b>${application}</b> quiere acceder a tu cuenta. ¿Con qué cuenta entras?
        </p>
        <form method="post">
          ${sellers.map(
            (seller) =>
              html`<p>
                <button name="seller" value="${seller.id}">Permitir como ${seller.name}</button>
              </p>`,
          )}
          <p><button name="seller" value="">No permitir</button></p>
        </form>
      </body>
    </html>`;
  return new Response(document.toString(), {
    headers: { "content-type": "text/html; charset=utf-8" },
  });
}
