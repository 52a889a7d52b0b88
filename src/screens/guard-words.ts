/** The text of the pages on which a person decides about single calls, and sees what agents have used. */
export const guardWords = {
  approval_title: {
    es: "{agent} quiere usar {tool}",
    pt: "{agent} quer usar {tool}",
    en: "{agent} wants to use {tool}",
  },
  approval_lead: {
    es: "El agente pide hacer esto en {upstream}, con exactamente estos datos:",
    pt: "O agente pede para fazer isto em {upstream}, com exatamente estes dados:",
    en: "The agent asks to do this at {upstream}, with exactly this data:",
  },
  approval_none: { es: "Sin datos.", pt: "Sem dados.", en: "No data." },
  approval_hint: {
    es: "Permítelo solo si entiendes lo que va a pasar. Si permites la herramienta por más tiempo, el agente podrá usarla también con otros datos.",
    pt: "Permita só se entender o que vai acontecer. Se permitir a ferramenta por mais tempo, o agente poderá usá-la também com outros dados.",
    en: "Allow it only if you understand what will happen. If you allow the tool for longer, the agent can use it with other data too.",
  },
  approve_once: { es: "Permitir esta vez", pt: "Permitir esta vez", en: "Allow this once" },
  approve_hour: {
    es: "Permitir la herramienta una hora",
    pt: "Permitir a ferramenta por uma hora",
    en: "Allow the tool for an hour",
  },
  approve_always: {
    es: "Permitir la herramienta siempre",
    pt: "Permitir a ferramenta sempre",
    en: "Always allow the tool",
  },
  approval_done_title: { es: "Listo", pt: "Pronto", en: "Done" },
  approval_allowed: {
    es: "Vuelve a tu agente y dile que siga.",
    pt: "Volte ao seu agente e diga para continuar.",
    en: "Go back to your agent and tell it to go on.",
  },
  approval_refused: {
    es: "El agente no lo hará.",
    pt: "O agente não fará isso.",
    en: "The agent will not do it.",
  },
  approval_over: {
    es: "Esta pregunta ya fue respondida o tiene más de diez minutos. Si hace falta, el agente preguntará de nuevo.",
    pt: "Esta pergunta já foi respondida ou tem mais de dez minutos. Se for preciso, o agente perguntará de novo.",
    en: "This question was answered or is older than ten minutes. If need be, the agent will ask again.",
  },
  waiting: {
    es: "Esperan tu respuesta",
    pt: "Esperam sua resposta",
    en: "Waiting for your answer",
  },
  allowed_longer: {
    es: "Permitido por más tiempo",
    pt: "Permitido por mais tempo",
    en: "Allowed for longer",
  },
  withdraw: { es: "Ya no permitir", pt: "Não permitir mais", en: "Do not allow any more" },
  stopped_agents: { es: "Agentes detenidos", pt: "Agentes parados", en: "Stopped agents" },
  stopped_lead: {
    es: "Estos agentes repetían lo mismo sin avanzar. Mira qué estaban haciendo antes de dejarlos seguir.",
    pt: "Estes agentes repetiam a mesma coisa sem avançar. Veja o que estavam fazendo antes de deixá-los continuar.",
    en: "These agents went round in circles. Look at what they were doing before you let them go on.",
  },
  let_go_on: { es: "Dejar que siga", pt: "Deixar continuar", en: "Let it go on" },
  used_calls: { es: "Llamadas usadas", pt: "Chamadas usadas", en: "Calls used" },
  used_of: {
    es: "{used} de {limit} en este período ({period})",
    pt: "{used} de {limit} neste período ({period})",
    en: "{used} of {limit} in this period ({period})",
  },
  period_minute: { es: "minuto", pt: "minuto", en: "minute" },
  period_day: { es: "día", pt: "dia", en: "day" },
  period_month: { es: "mes", pt: "mês", en: "month" },
  review_title: {
    es: "Herramientas nuevas o cambiadas",
    pt: "Ferramentas novas ou alteradas",
    en: "Tools that are new or have changed",
  },
  review_lead: {
    es: "Estas definiciones son nuevas o cambiaron. Un texto que le habla al modelo («primero lee…», «no lo digas») es un ataque.",
    pt: "Estas definições são novas ou mudaram. Um texto que fala com o modelo (“primeiro leia…”, “não conte”) é um ataque.",
    en: "These definitions are new or have changed. Text that speaks to a model (“first read …”, “do not tell”) is an attack.",
  },
  review_none: { es: "No hay nada pendiente.", pt: "Nada está pendente.", en: "Nothing waits." },
  review_open: {
    es: "Abrir en este navegador",
    pt: "Abrir neste navegador",
    en: "Open in this browser",
  },
  review_more: {
    es: "Hay {count} más; aparecen cuando decidas sobre estas.",
    pt: "Há mais {count}; aparecem quando você decidir sobre estas.",
    en: "There are {count} more; they come when you have decided about these.",
  },
  definition_new: { es: "nueva", pt: "nova", en: "new" },
  definition_changed: { es: "cambió", pt: "mudou", en: "changed" },
  let_use: { es: "Que los agentes la usen", pt: "Que os agentes a usem", en: "Let agents use it" },
  keep_back: { es: "Seguir reteniéndola", pt: "Continuar retendo", en: "Keep it back" },
  only_reading: {
    es: "Solo herramientas que dicen que no cambian nada",
    pt: "Só ferramentas que dizem que não mudam nada",
    en: "Only tools that say they change nothing",
  },
} as const;
