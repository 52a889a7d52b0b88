import type { Provider } from "./provider.ts";
import { mercadoErrors } from "./mercadolibre.ts";

export const mercadopago: Provider = {
  name: "mercadopago",
  title: "Mercado Pago",
  endpoints: {
    authorize: "https://auth.mercadopago.com/authorization",
    token: "https://api.mercadopago.com/oauth/token",
    identity: "https://api.mercadopago.com/users/me",
  },
  clientAuthentication: "body",
  pkce: "switchable",
  scopes: [],
  authorizeParameters: { platform_id: "mp" },
  identity: { from: "token", idField: "user_id" },
  refresh: { singleUse: true, defaultAccessSeconds: 15_552_000, refreshTokenDays: 180 },
  errors: mercadoErrors,
};
