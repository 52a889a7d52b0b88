/** What a person reads when an agent's request, an invitation or a device code cannot be used. */
export const agentFailureWords = {
  account_gone: {
    es: "Esa cuenta ya no está conectada. Empieza de nuevo en tu agente.",
    pt: "Essa conta não está mais conectada. Comece de novo no seu agente.",
    en: "That account is not connected any more. Start again in your agent.",
  },
  client_unknown: {
    es: "El agente que te envió aquí no se ha registrado en este servicio, o su registro ya no vale. Quita esta conexión en tu agente y agrégala de nuevo.",
    pt: "O agente que enviou você aqui não se registrou neste serviço, ou o registro não vale mais. Remova esta conexão no seu agente e adicione-a de novo.",
    en: "The agent that sent you here is not registered with this service, or no longer is. Remove the connection in your agent and add it again.",
  },
  redirect_uri_unknown: {
    es: "El agente pidió que la respuesta vaya a una dirección que no había registrado. Por seguridad no se envió nada.",
    pt: "O agente pediu que a resposta fosse para um endereço que não tinha registrado. Por segurança nada foi enviado.",
    en: "The agent asked for the answer to go to an address that it had not registered. For your safety nothing was sent.",
  },
  invalid_request: {
    es: "El agente envió una petición incompleta o errónea. Empieza de nuevo en tu agente.",
    pt: "O agente enviou um pedido incompleto ou errado. Comece de novo no seu agente.",
    en: "The agent sent an incomplete or wrong request. Start again in your agent.",
  },
  consent_expired: {
    es: "Esta página tenía más de 15 minutos o era de otra petición. Empieza de nuevo en tu agente.",
    pt: "Esta página tinha mais de 15 minutos ou era de outro pedido. Comece de novo no seu agente.",
    en: "This page was older than 15 minutes or belonged to another request. Start again in your agent.",
  },
  device_code_unknown: {
    es: "Ese código no existe, ya se usó o tiene más de 15 minutos. Pide uno nuevo en tu dispositivo.",
    pt: "Esse código não existe, já foi usado ou tem mais de 15 minutos. Peça um novo no seu dispositivo.",
    en: "That code is unknown, was used, or is older than 15 minutes. Ask your device for a new one.",
  },
  invite_needed: {
    es: "Para entrar por primera vez necesitas una invitación. Pídela a quien opera este servicio y ábrela en este navegador.",
    pt: "Para entrar pela primeira vez você precisa de um convite. Peça-o a quem opera este serviço e abra-o neste navegador.",
    en: "To come in for the first time you need an invitation. Ask whoever runs this service, and open it in this browser.",
  },
  review_link_needed: {
    es: "Esta página se abre con un enlace de `smartdash tools review`. Cada enlace sirve una vez, durante diez minutos. Crea otro.",
    pt: "Esta página abre com um link de `smartdash tools review`. Cada link serve uma vez, durante dez minutos. Crie outro.",
    en: "This page opens with a link from `smartdash tools review`. Each link works once, within ten minutes. Make another one.",
  },
  definition_decided: {
    es: "Alguien ya decidió sobre esta definición. No se cambió nada; vuelve a abrir la página.",
    pt: "Alguém já decidiu sobre esta definição. Nada foi alterado; abra a página de novo.",
    en: "Somebody has decided about this definition already. Nothing was changed; open the page again.",
  },
  invite_unknown: {
    es: "Esta invitación no existe, ya se usó o tiene más de siete días. Pide otra.",
    pt: "Este convite não existe, já foi usado ou tem mais de sete dias. Peça outro.",
    en: "This invitation is unknown, was used, or is older than seven days. Ask for another one.",
  },
  wrong_person: {
    es: "Este enlace es de otra persona, no de quien tiene la sesión abierta en este navegador. No se cambió nada. Si la cuenta es tuya, sal primero y ábrelo de nuevo.",
    pt: "Este link é de outra pessoa, não de quem está com a sessão aberta neste navegador. Nada foi alterado. Se a conta é sua, saia primeiro e abra-o de novo.",
    en: "This link is for another person than the one who is signed in here. Nothing was changed. If the account is yours, sign out first and open it again.",
  },
  too_many_requests: {
    es: "Demasiados intentos seguidos. Espera un minuto.",
    pt: "Tentativas demais. Espere um minuto.",
    en: "Too many attempts. Wait a minute.",
  },
} as const;
