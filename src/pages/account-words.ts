/** The text of the pages on which a person disconnects an account. */
export const accountWords = {
  disconnect: { es: "Desconectar", pt: "Desconectar", en: "Disconnect" },
  disconnect_title: {
    es: "¿Desconectar esta cuenta?",
    pt: "Desconectar esta conta?",
    en: "Disconnect this account?",
  },
  disconnect_ends: {
    es: "Desde ese momento ningún agente puede usarla y se borra la credencial guardada. Sesiones que terminan: {sessions}; permisos de agentes: {agents}.",
    pt: "A partir desse momento nenhum agente pode usá-la e a credencial guardada é apagada. Sessões que terminam: {sessions}; permissões de agentes: {agents}.",
    en: "From then on no agent can use it, and the stored credential is erased. Sessions that end: {sessions}; permissions of agents: {agents}.",
  },
  disconnect_asks_provider: {
    es: "Después pedimos a {provider} que retire el acceso.",
    pt: "Depois pedimos ao {provider} que retire o acesso.",
    en: "Then we ask {provider} to take the access back.",
  },
  disconnect_by_hand: {
    es: "{provider} no ofrece retirar el acceso desde aquí: retíralo además en la página de {provider}, en las aplicaciones conectadas.",
    pt: "O {provider} não permite retirar o acesso daqui: retire-o também na página do {provider}, nos aplicativos conectados.",
    en: "{provider} has no way to take the access back from here: remove it on {provider}'s own page too, under connected applications.",
  },
  disconnected_title: {
    es: "Cuenta desconectada",
    pt: "Conta desconectada",
    en: "Account disconnected",
  },
  disconnected_taken_back: {
    es: "Nadie puede usarla ya aquí, y {provider} retiró el acceso.",
    pt: "Ninguém mais pode usá-la aqui, e o {provider} retirou o acesso.",
    en: "Nobody can use it here any more, and {provider} has taken the access back.",
  },
  disconnected_pending: {
    es: "Nadie puede usarla ya aquí. {provider} todavía no confirmó que retiró el acceso; seguimos pidiéndoselo.",
    pt: "Ninguém mais pode usá-la aqui. O {provider} ainda não confirmou que retirou o acesso; continuamos pedindo.",
    en: "Nobody can use it here any more. {provider} has not confirmed yet that the access is taken back; we go on asking.",
  },
} as const;
