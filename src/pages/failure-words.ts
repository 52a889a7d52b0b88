import type { FailureCode, FailureDetails } from "#src/failure.ts";
import type { Language } from "#src/http/language.ts";

/** What a person reads when an agent's request, an invitation or a device code cannot be used. */
const agentFailureWords = {
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
  search_too_long: {
    es: "Esta búsqueda tardó más de cuatro segundos y se detuvo. Nombra un servidor o una cuenta, o mira menos atrás.",
    pt: "Esta busca levou mais de quatro segundos e foi interrompida. Indique um servidor ou uma conta, ou olhe menos para trás.",
    en: "This search took longer than four seconds and was stopped. Name an upstream or an account, or look less far back.",
  },
  operator_needed: {
    es: "Entraste como auditor: puedes mirar todo, pero no cambiar nada. No se cambió nada.",
    pt: "Você entrou como auditor: pode ver tudo, mas não mudar nada. Nada foi alterado.",
    en: "You came in as an auditor: you may look at everything, and change nothing. Nothing was changed.",
  },
  review_link_needed: {
    es: "Esta página se abre con un enlace de `smartdash console` o `smartdash tools review`. Cada enlace sirve una vez, durante diez minutos. Crea otro.",
    pt: "Esta página abre com um link de `smartdash console` ou `smartdash tools review`. Cada link serve uma vez, durante dez minutos. Crie outro.",
    en: "This page opens with a link from `smartdash console` or `smartdash tools review`. Each link works once, within ten minutes. Make another one.",
  },
  definition_decided: {
    es: "Alguien ya decidió sobre esta definición. No se cambió nada; vuelve a abrir la página.",
    pt: "Alguém já decidiu sobre esta definição. Nada foi alterado; abra a página de novo.",
    en: "Somebody has decided about this definition already. Nothing was changed; open the page again.",
  },
  check_running: {
    es: "Ya se está comprobando este despliegue. Espera a que termine, tres minutos como máximo.",
    pt: "Esta implantação já está sendo verificada. Espere até terminar, três minutos no máximo.",
    en: "A check of this deployment is at work already. Wait until it has ended, three minutes at most.",
  },
  check_not_run: {
    es: "La comprobación terminó sin informe. Ejecuta `smartdash check` en esa máquina: dice por qué.",
    pt: "A verificação terminou sem relatório. Execute `smartdash check` naquela máquina: ela diz por quê.",
    en: "The check has ended without a report. Execute `smartdash check` on that machine: it says why.",
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

type Wording = NonNullable<FailureDetails["wording"]>;

/** What a seller reads when a page fails; codes without words of their own fall back to `internal`. */
export const failureWords: Partial<
  Record<FailureCode | Wording, Readonly<Record<Language, string>>>
> = {
  internal: {
    es: "Algo falló de nuestro lado. Inténtalo de nuevo; si se repite, envía el código a quien opera este servicio.",
    pt: "Algo falhou do nosso lado. Tente de novo; se repetir, envie o código a quem opera este serviço.",
    en: "Something failed on our side. Try again; if it happens again, send the code to whoever runs this service.",
  },
  not_found: {
    es: "Esta página no existe.",
    pt: "Esta página não existe.",
    en: "This page does not exist.",
  },
  database_unavailable: {
    es: "El servicio no está disponible en este momento. No se perdió nada; inténtalo en un minuto.",
    pt: "O serviço não está disponível no momento. Nada foi perdido; tente em um minuto.",
    en: "The service is not available right now. Nothing was lost; try again in a minute.",
  },
  once_only: {
    es: "Esto solo se puede permitir una vez cada vez. No se cambió nada; vuelve a abrir la página.",
    pt: "Isto só pode ser permitido uma vez de cada vez. Nada foi alterado; abra a página de novo.",
    en: "This can be allowed only once at a time. Nothing was changed; open the page again.",
  },
  state_missing: {
    es: "La respuesta llegó incompleta: falta el identificador de esta conexión. Empieza de nuevo.",
    pt: "A resposta chegou incompleta: falta o identificador desta conexão. Comece de novo.",
    en: "The answer came back incomplete: the identifier of this connection is missing. Start again.",
  },
  state_unknown: {
    es: "Este intento de conexión no existe o ya se usó; cada uno sirve una sola vez. Empieza de nuevo.",
    pt: "Esta tentativa de conexão não existe ou já foi usada; cada uma vale uma só vez. Comece de novo.",
    en: "This connection attempt is unknown or was already used; each works once. Start again.",
  },
  state_expired: {
    es: "Pasaron más de 15 minutos desde que empezaste. Empieza de nuevo.",
    pt: "Passaram mais de 15 minutos desde que você começou. Comece de novo.",
    en: "More than 15 minutes have passed since you began. Start again.",
  },
  state_foreign: {
    es: "Esta conexión se empezó en otro navegador. Por seguridad debe terminar en el mismo. Empieza de nuevo en este.",
    pt: "Esta conexão foi iniciada em outro navegador. Por segurança, ela deve terminar no mesmo. Comece de novo neste.",
    en: "This connection was begun in another browser. For your safety it has to end in the same one. Start again in this one.",
  },
  consent_denied: {
    es: "No autorizaste la conexión con {provider}. No se guardó nada.",
    pt: "Você não autorizou a conexão com {provider}. Nada foi salvo.",
    en: "You did not allow the connection with {provider}. Nothing was stored.",
  },
  provider_said_no: {
    es: "{provider} no permitió la conexión y respondió «{error}». Si eres colaborador, debe conectarse la cuenta principal.",
    pt: "{provider} não permitiu a conexão e respondeu “{error}”. Se você é colaborador, a conta principal deve se conectar.",
    en: "{provider} did not allow the connection and answered “{error}”. If you are a collaborator, the main account has to connect.",
  },
  exchange_failed: {
    es: "{provider} no entregó la credencial ({error}). Empieza de nuevo; si se repite, avisa a quien opera este servicio.",
    pt: "{provider} não entregou a credencial ({error}). Comece de novo; se repetir, avise quem opera este serviço.",
    en: "{provider} did not hand out the credential ({error}). Start again; if it happens again, tell whoever runs this service.",
  },
  identity_failed: {
    es: "{provider} no dijo a quién pertenece la cuenta. Inténtalo en unos minutos.",
    pt: "{provider} não informou de quem é a conta. Tente em alguns minutos.",
    en: "{provider} did not say whose account this is. Try again in a few minutes.",
  },
  identity_refused: {
    es: "{provider} se negó a decir de quién es la cuenta ({error}): a la aplicación de este servicio en {provider} le falta un permiso ({needs}). Avisa a quien opera este servicio.",
    pt: "{provider} recusou dizer de quem é a conta ({error}): falta uma permissão ao aplicativo deste serviço no {provider} ({needs}). Avise quem opera este serviço.",
    en: "{provider} refused to say whose account this is ({error}): the application of this service at {provider} lacks a permission ({needs}). Tell whoever runs this service.",
  },
  other_seller: {
    es: "Entraste en {provider} con otra cuenta ({actual}) que la esperada ({expected}). La cuenta esperada no se cambió. Sal de {provider} y entra con la cuenta correcta.",
    pt: "Você entrou no {provider} com outra conta ({actual}) e não com a esperada ({expected}). A conta esperada não foi alterada. Saia do {provider} e entre com a conta certa.",
    en: "You signed in to {provider} with another account ({actual}) than the expected one ({expected}). The expected account was not changed. Sign out of {provider} and sign in with the right account.",
  },
  account_of_another: {
    es: "Esa cuenta de {provider} ya está conectada aquí por otra persona. Sal de este servicio y conéctala desde un navegador limpio.",
    pt: "Essa conta do {provider} já está conectada aqui por outra pessoa. Saia deste serviço e conecte-a em um navegador limpo.",
    en: "That {provider} account is already connected here by another person. Sign out of this service and connect it from a clean browser.",
  },
  provider_unknown: {
    es: "No conocemos ese proveedor.",
    pt: "Não conhecemos esse provedor.",
    en: "We do not know that provider.",
  },
  provider_not_configured: {
    es: "{provider} todavía no está configurado en este servicio.",
    pt: "{provider} ainda não está configurado neste serviço.",
    en: "{provider} is not configured in this service yet.",
  },
  site_unknown: {
    es: "No conocemos ese país de {provider}.",
    pt: "Não conhecemos esse país do {provider}.",
    en: "We do not know that country site of {provider}.",
  },
  provider_busy: {
    es: "{provider} está ocupado. Espera un minuto y empieza de nuevo.",
    pt: "{provider} está ocupado. Espere um minuto e comece de novo.",
    en: "{provider} is busy. Wait a minute and start again.",
  },
  form_refused: {
    es: "La página era demasiado antigua. Cárgala de nuevo y repite la acción.",
    pt: "A página era antiga demais. Carregue-a de novo e repita a ação.",
    en: "The page was too old. Load it again and repeat the action.",
  },
  ...agentFailureWords,
  sign_in_needed: {
    es: "Ya no hay una sesión abierta en este navegador. Conecta una cuenta, o empieza de nuevo en tu agente.",
    pt: "Não há mais uma sessão aberta neste navegador. Conecte uma conta, ou comece de novo no seu agente.",
    en: "Nobody is signed in here any more. Connect an account, or start again in your agent.",
  },
};
