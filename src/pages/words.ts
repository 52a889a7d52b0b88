import { accountWords } from "./account-words.ts";
import { agentWords } from "./agent-words.ts";
import { guardWords } from "./guard-words.ts";
import type { Language } from "#src/http/language.ts";

type Words = Readonly<Record<Language, string>>;

/** The text of every page, in the three languages of its readers. `{name}` is filled in. */
export const words = {
  home_title: { es: "Conecta tus cuentas", pt: "Conecte suas contas", en: "Connect your accounts" },
  home_lead: {
    es: "Tus agentes de IA trabajan con tus cuentas a través de este servicio. Nunca ven tu contraseña ni tus credenciales.",
    pt: "Seus agentes de IA trabalham com suas contas por meio deste serviço. Eles nunca veem sua senha nem suas credenciais.",
    en: "Your AI agents work with your accounts through this service. They never see your password or your credentials.",
  },
  connect: { es: "Conectar {provider}", pt: "Conectar {provider}", en: "Connect {provider}" },
  reconnect: { es: "Volver a conectar", pt: "Conectar novamente", en: "Connect again" },
  nothing_configured: {
    es: "Todavía no hay ningún proveedor configurado. El operador debe definir, por ejemplo, MELI_CLIENT_ID.",
    pt: "Ainda não há nenhum provedor configurado. O operador deve definir, por exemplo, MELI_CLIENT_ID.",
    en: "No provider is configured yet. The operator has to set, for example, MELI_CLIENT_ID.",
  },
  accounts: { es: "Cuentas conectadas", pt: "Contas conectadas", en: "Connected accounts" },
  state_active: { es: "conectada", pt: "conectada", en: "connected" },
  state_reconnect_required: {
    es: "hay que volver a conectarla",
    pt: "é preciso conectar novamente",
    en: "has to be connected again",
  },
  state_ambiguous: {
    es: "en duda: quizá haya que volver a conectarla",
    pt: "em dúvida: talvez seja preciso conectar novamente",
    en: "in doubt: it may have to be connected again",
  },
  state_revoking: {
    es: "desconectándose",
    pt: "desconectando",
    en: "being disconnected",
  },
  state_revoked: { es: "desconectada", pt: "desconectada", en: "disconnected" },
  sessions: { es: "Sesiones para agentes", pt: "Sessões para agentes", en: "Sessions for agents" },
  sessions_lead: {
    es: "Una sesión es una clave que pegas en tu agente. Vale 30 días y solo para una cuenta.",
    pt: "Uma sessão é uma chave que você cola no seu agente. Vale 30 dias e só para uma conta.",
    en: "A session is a key that you paste into your agent. It is valid for 30 days and for one account.",
  },
  create_session: { es: "Crear sesión", pt: "Criar sessão", en: "Create a session" },
  since: { es: "desde {date}", pt: "desde {date}", en: "since {date}" },
  select_hint: {
    es: "Un clic selecciona el texto entero.",
    pt: "Um clique seleciona o texto inteiro.",
    en: "One click selects the whole text.",
  },
  shell: { es: "terminal", pt: "terminal", en: "shell" },
  end_session: { es: "Terminar", pt: "Encerrar", en: "End" },
  no_sessions: {
    es: "Ninguna sesión abierta.",
    pt: "Nenhuma sessão aberta.",
    en: "No open sessions.",
  },
  until: { es: "hasta {date}", pt: "até {date}", en: "until {date}" },
  bearer_title: { es: "Tu nueva sesión", pt: "Sua nova sessão", en: "Your new session" },
  bearer_lead: {
    es: "Copia la clave ahora: no se volverá a mostrar. Quien la tenga puede actuar con tu cuenta.",
    pt: "Copie a chave agora: ela não será mostrada de novo. Quem a tiver pode agir com a sua conta.",
    en: "Copy the key now: it is not shown again. Whoever has it can act on your account.",
  },
  ready_made: {
    es: "Configuración lista para tu agente",
    pt: "Configuração pronta para o seu agente",
    en: "Ready-made configuration for your agent",
  },
  back: { es: "Volver", pt: "Voltar", en: "Back" },
  sign_out: { es: "Salir", pt: "Sair", en: "Sign out" },
  try_again: { es: "Empezar de nuevo", pt: "Começar de novo", en: "Start again" },
  went_wrong: { es: "Esto no salió bien", pt: "Isto não deu certo", en: "This did not work" },
  code: { es: "Código", pt: "Código", en: "Code" },
  ...accountWords,
  ...agentWords,
  ...guardWords,
} as const satisfies Record<string, Words>;

export type WordName = keyof typeof words;

/** A text in a language, with its `{names}` filled in. Escaping is the page's business. */
export function say(
  language: Language,
  name: WordName,
  values: Readonly<Record<string, string>> = {},
): string {
  return fill(words[name][language], values);
}

/** `text` with every `{name}` replaced that `values` knows. */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
