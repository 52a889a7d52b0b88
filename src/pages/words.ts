import type { Language } from "#src/http/language.ts";

/** The text of the pages on which a person disconnects an account. */
const accountWords = {
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

/** The text of the pages on which a person decides what agents may do. */
const agentWords = {
  agent_wants: {
    es: "{client} quiere usar {upstream}",
    pt: "{client} quer usar {upstream}",
    en: "{client} wants to use {upstream}",
  },
  identified_by: {
    es: "Identificado por {host}.",
    pt: "Identificado por {host}.",
    en: "Identified by {host}.",
  },
  named_itself: {
    es: "El agente se puso este nombre a sí mismo; nadie lo ha verificado.",
    pt: "O agente deu este nome a si mesmo; ninguém o verificou.",
    en: "The agent gave itself this name; nobody has verified it.",
  },
  added_by_operator: {
    es: "Lo agregó quien opera este servicio.",
    pt: "Foi adicionado por quem opera este serviço.",
    en: "It was added by whoever runs this service.",
  },
  answer_goes_to: {
    es: "La respuesta va a {host}",
    pt: "A resposta vai para {host}",
    en: "The answer goes to {host}",
  },
  stopped_before: {
    es: "Este agente se detuvo porque daba vueltas sin avanzar. Si lo permites, podrá continuar.",
    pt: "Este agente foi parado porque dava voltas sem avançar. Se você permitir, ele poderá continuar.",
    en: "This agent was stopped because it was going round in circles. If you allow it, it can go on.",
  },
  switched_off_before: {
    es: "El operador ha desactivado este agente. Aunque lo permitas, no podrá hacer nada hasta que lo active de nuevo.",
    pt: "O operador desativou este agente. Mesmo que você permita, ele não poderá fazer nada até que seja reativado.",
    en: "The operator has switched this agent off. Even if you allow it, it can do nothing until it is switched on again.",
  },
  loopback_warning: {
    es: "Esa dirección es un programa de este equipo, y cualquiera podría hacerse pasar por él. Permítelo solo si acabas de iniciarlo tú.",
    pt: "Esse endereço é um programa deste computador, e qualquer um poderia se passar por ele. Permita só se você acabou de iniciá-lo.",
    en: "That address is a program on this computer, and any program could pretend to be it. Allow it only if you have just started it yourself.",
  },
  it_may: { es: "Podrá", pt: "Poderá", en: "It will be able to" },
  it_may_now: { es: "Puede", pt: "Pode", en: "It may" },
  "scope_mcp:read": {
    es: "ver qué herramientas, indicaciones y recursos hay",
    pt: "ver que ferramentas, instruções e recursos existem",
    en: "see which tools, prompts and resources there are",
  },
  "scope_mcp:call": {
    es: "usar las herramientas: consultar y cambiar datos de la cuenta",
    pt: "usar as ferramentas: consultar e alterar dados da conta",
    en: "use the tools: look up and change what is in the account",
  },
  scope_reading: {
    es: "usar las herramientas que dicen que no cambian nada",
    pt: "usar as ferramentas que dizem que não mudam nada",
    en: "use the tools that say they change nothing",
  },
  "scope_mcp:resources": {
    es: "leer recursos y enterarse de sus cambios",
    pt: "ler recursos e saber das suas mudanças",
    en: "read resources and hear of their changes",
  },
  which_account: { es: "¿Con qué cuenta?", pt: "Com qual conta?", en: "With which account?" },
  connect_another: {
    es: "Conectar otra cuenta de {provider}",
    pt: "Conectar outra conta do {provider}",
    en: "Connect another {provider} account",
  },
  prove_first: {
    es: "Primero demuestra quién eres: entra con la cuenta que el agente va a usar. El agente no verá tu contraseña.",
    pt: "Primeiro mostre quem você é: entre com a conta que o agente vai usar. O agente não verá sua senha.",
    en: "Sign in with the account that the agent should use. The agent will not see your password.",
  },
  connect_for_agent: {
    es: "Conecta la cuenta que el agente va a usar.",
    pt: "Conecte a conta que o agente vai usar.",
    en: "Connect the account that the agent should use.",
  },
  go_on_with: {
    es: "Continuar con {provider}",
    pt: "Continuar com {provider}",
    en: "Continue with {provider}",
  },
  allow: { es: "Permitir", pt: "Permitir", en: "Allow" },
  deny: { es: "No permitir", pt: "Não permitir", en: "Do not allow" },
  end_any_time: {
    es: "Puedes terminarlo cuando quieras en la página principal de este servicio.",
    pt: "Você pode encerrá-lo quando quiser na página principal deste serviço.",
    en: "You can end it at any time on the front page of this service.",
  },
  remembered: {
    es: "La próxima vez no se te preguntará lo mismo.",
    pt: "Da próxima vez a mesma pergunta não será feita.",
    en: "Next time you will not be asked the same again.",
  },
  invite_hint: {
    es: "Si es tu primera vez aquí, abre antes el enlace de tu invitación.",
    pt: "Se é a sua primeira vez aqui, abra antes o link do seu convite.",
    en: "If this is your first time here, open the link of your invitation first.",
  },
  invite_kept: {
    es: "Tu invitación está guardada en este navegador. Conecta ahora una cuenta.",
    pt: "Seu convite está guardado neste navegador. Conecte agora uma conta.",
    en: "Your invitation is kept in this browser. Connect an account now.",
  },
  device_title: {
    es: "Conectar un dispositivo",
    pt: "Conectar um dispositivo",
    en: "Connect a device",
  },
  device_lead: {
    es: "Escribe el código que muestra tu dispositivo o programa.",
    pt: "Digite o código que seu dispositivo ou programa mostra.",
    en: "Type the code that your device or program shows.",
  },
  device_code: { es: "Código del dispositivo", pt: "Código do dispositivo", en: "Device code" },
  go_on: { es: "Continuar", pt: "Continuar", en: "Continue" },
  device_check: {
    es: "Permítelo solo si tu propio dispositivo muestra ahora este código:",
    pt: "Permita só se o seu próprio dispositivo mostra agora este código:",
    en: "Allow it only if your own device shows this code now:",
  },
  device_allowed_title: { es: "Listo", pt: "Pronto", en: "Done" },
  device_allowed: {
    es: "{client} quedó conectado. Puedes volver a tu dispositivo.",
    pt: "{client} foi conectado. Você pode voltar ao seu dispositivo.",
    en: "{client} is connected. You can go back to your device.",
  },
  device_denied_title: { es: "No se permitió", pt: "Não foi permitido", en: "Not allowed" },
  device_denied: {
    es: "{client} no recibió nada. Puedes cerrar esta página.",
    pt: "{client} não recebeu nada. Você pode fechar esta página.",
    en: "{client} was given nothing. You can close this page.",
  },
  agents: {
    es: "Agentes con permiso",
    pt: "Agentes com permissão",
    en: "Agents with your permission",
  },
  no_agents: {
    es: "Ningún agente tiene permiso todavía. Tu agente te preguntará aquí si le das esta dirección:",
    pt: "Nenhum agente tem permissão ainda. Seu agente perguntará aqui se você der a ele este endereço:",
    en: "No agent has permission yet. Your agent will ask you here when you give it this address:",
  },
  remove_permission: {
    es: "Quitar permiso",
    pt: "Remover permissão",
    en: "Remove permission",
  },
  to_front: {
    es: "Ir a la página principal",
    pt: "Ir à página inicial",
    en: "Go to the front page",
  },
} as const;

/** The text of the pages on which a person decides about single calls, and sees what agents have used. */
const guardWords = {
  approval_title: {
    es: "{agent} quiere usar {tool}",
    pt: "{agent} quer usar {tool}",
    en: "{agent} wants to use {tool}",
  },
  approval_lead: {
    es: "El agente pide hacer esto en {upstream}, con exactamente estos datos:",
    pt: "O agente pede para fazer isto no {upstream}, com exatamente estes dados:",
    en: "The agent asks to do this at {upstream}, with exactly this data:",
  },
  approval_key_title: {
    es: "Muestra que la cuenta es tuya",
    pt: "Mostre que a conta é sua",
    en: "Show that the account is yours",
  },
  approval_key_lead: {
    es: "Esta cuenta se conectó con una clave. Pega la misma clave para responder a tu agente; aquí solo se compara.",
    pt: "Esta conta foi conectada com uma chave. Cole a mesma chave para responder ao seu agente; aqui ela só é comparada.",
    en: "This account was connected with a key. Paste the same key to answer your agent; it is only compared here.",
  },
  approval_key: { es: "Clave", pt: "Chave", en: "Key" },
  approval_key_go: { es: "Continuar", pt: "Continuar", en: "Continue" },
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
  switched_off_agents: {
    es: "Agentes que el operador apagó",
    pt: "Agentes que o operador desligou",
    en: "Agents that the operator has switched off",
  },
  switched_off_lead: {
    es: "No pueden hacer nada hasta que el operador los encienda de nuevo.",
    pt: "Não podem fazer nada até o operador ligá-los de novo.",
    en: "They can do nothing until the operator switches them on again.",
  },
  allowed_always: { es: "permitida siempre", pt: "permitida sempre", en: "allowed always" },
  allowed_hour: {
    es: "permitida una hora",
    pt: "permitida por uma hora",
    en: "allowed for an hour",
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
  review_none: {
    es: "No hay nada pendiente.",
    pt: "Nada está pendente.",
    en: "Nothing to review.",
  },
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

/** The text of the page on which a person sees what was called when, and of the small charts. */
const activityWords = {
  activity: { es: "Actividad", pt: "Atividade", en: "Activity" },
  activity_lead: {
    es: "Qué usaron tus agentes, cuándo y con qué resultado. No se guarda ningún contenido: ni lo que el agente envió ni lo que se le respondió. Por eso «respondida» no dice si la respuesta fue la que se quería. Las horas son UTC.",
    pt: "O que seus agentes usaram, quando e com que resultado. Nenhum conteúdo é guardado: nem o que o agente enviou nem o que lhe foi respondido. Por isso “respondida” não diz se a resposta foi a desejada. As horas são UTC.",
    en: "What your agents used, when, and how it ended. No contents are stored: neither what an agent sent nor what was answered. So “answered” does not say whether the answer was the one that was wanted. Times are UTC.",
  },
  filter_agent: { es: "Agente", pt: "Agente", en: "Agent" },
  filter_tool: { es: "Herramienta", pt: "Ferramenta", en: "Tool" },
  filter_day: { es: "Día", pt: "Dia", en: "Day" },
  filter_outcome: { es: "Resultado", pt: "Resultado", en: "Outcome" },
  filter_all: { es: "todos", pt: "todos", en: "all" },
  filter_every: { es: "todas", pt: "todas", en: "all" },
  filter_whole: {
    es: "También lo que los programas piden solos: listas, conexiones, señales de vida",
    pt: "Também o que os programas pedem sozinhos: listas, conexões, sinais de vida",
    en: "Also what programs ask by themselves: lists, connections, signs of life",
  },
  filter_show: { es: "Mostrar", pt: "Mostrar", en: "Show" },
  outcome_done: { es: "respondida", pt: "respondida", en: "answered" },
  outcome_refused: { es: "rechazada", pt: "recusada", en: "refused" },
  outcome_failed: { es: "falló", pt: "falhou", en: "failed" },
  outcome_left: { es: "abandonada", pt: "abandonada", en: "left" },
  activity_none: {
    es: "Todavía no hay nada. Dale a tu agente esta dirección y pídele algo:",
    pt: "Ainda não há nada. Dê este endereço ao seu agente e peça algo a ele:",
    en: "Nothing yet. Give your agent this address and ask it for something:",
  },
  activity_none_fits: {
    es: "Nada corresponde a estos filtros.",
    pt: "Nada corresponde a estes filtros.",
    en: "Nothing fits these filters.",
  },
  show_everything: { es: "Mostrar todo", pt: "Mostrar tudo", en: "Show everything" },
  older: { es: "Anteriores", pt: "Anteriores", en: "Older" },
  newest: { es: "Las más recientes", pt: "As mais recentes", en: "Newest" },
  download_csv: {
    es: "Descargar como CSV (hasta {most} filas)",
    pt: "Baixar como CSV (até {most} linhas)",
    en: "Download as CSV (up to {most} rows)",
  },
  csv_cut: {
    es: "Hay más: filtra por día para obtener lo anterior",
    pt: "Há mais: filtre por dia para obter o anterior",
    en: "There is more: filter by day to get what is older",
  },
  session_named: { es: "sesión {id}", pt: "sessão {id}", en: "session {id}" },
  unknown_agent: { es: "un agente anterior", pt: "um agente anterior", en: "a former agent" },
  last_use: { es: "Último uso: {when}", pt: "Último uso: {when}", en: "Last used {when}" },
  just_now: { es: "hace un momento", pt: "agora há pouco", en: "just now" },
  not_used: {
    es: "Sin uso en los últimos {days} días",
    pt: "Sem uso nos últimos {days} dias",
    en: "Not used in the last {days} days",
  },
  chart_days: {
    es: "{days} días: {calls}, {refused}",
    pt: "{days} dias: {calls}, {refused}",
    en: "{days} days: {calls}, {refused}",
  },
  calls_one: { es: "{count} llamada", pt: "{count} chamada", en: "{count} call" },
  calls_many: { es: "{count} llamadas", pt: "{count} chamadas", en: "{count} calls" },
  refused_one: { es: "{count} rechazada", pt: "{count} recusada", en: "{count} refused" },
  refused_many: { es: "{count} rechazadas", pt: "{count} recusadas", en: "{count} refused" },
  guard_approved_once: {
    es: "lo permitiste esa vez",
    pt: "você permitiu daquela vez",
    en: "you allowed it that once",
  },
  guard_approved_hour: {
    es: "lo habías permitido por una hora",
    pt: "você tinha permitido por uma hora",
    en: "you had allowed it for an hour",
  },
  guard_approved_always: {
    es: "lo habías permitido siempre",
    pt: "você tinha permitido sempre",
    en: "you had always allowed it",
  },
  guard_switched_off: {
    es: "el operador lo había desactivado",
    pt: "o operador tinha desativado",
    en: "the operator had switched it off",
  },
  guard_agent_stopped: {
    es: "el agente estaba detenido",
    pt: "o agente estava parado",
    en: "the agent was stopped",
  },
  guard_rate_limited: {
    es: "demasiadas llamadas en poco tiempo",
    pt: "chamadas demais em pouco tempo",
    en: "too many calls in a short time",
  },
  guard_budget_spent: {
    es: "las llamadas del período se habían acabado",
    pt: "as chamadas do período tinham acabado",
    en: "the calls of the period were used up",
  },
  guard_loop: {
    es: "el agente repetía lo mismo sin avanzar",
    pt: "o agente repetia a mesma coisa sem avançar",
    en: "the agent went round in circles",
  },
  guard_provider_pace: {
    es: "el proveedor permite solo cierta cantidad por minuto",
    pt: "o provedor permite só uma certa quantidade por minuto",
    en: "the provider allows only so many a minute",
  },
  guard_tool_refused: {
    es: "este agente no puede usar esta herramienta",
    pt: "este agente não pode usar esta ferramenta",
    en: "this agent may not use this tool",
  },
  guard_tool_held: {
    es: "la herramienta espera la revisión del operador",
    pt: "a ferramenta espera a revisão do operador",
    en: "the tool waits for the operator to review it",
  },
  guard_approval_needed: {
    es: "se te preguntó primero",
    pt: "perguntamos a você primeiro",
    en: "you were asked first",
  },
  guard_approval_refused: {
    es: "no lo permitiste",
    pt: "você não permitiu",
    en: "you did not allow it",
  },
  call_client_left: {
    es: "el agente se fue antes de la respuesta",
    pt: "o agente saiu antes da resposta",
    en: "the agent left before the answer",
  },
  call_upstream_away: {
    es: "el servidor no respondió bien",
    pt: "o servidor não respondeu bem",
    en: "the server did not answer properly",
  },
  call_reconnect: {
    es: "había que volver a conectar la cuenta",
    pt: "era preciso conectar a conta novamente",
    en: "the account had to be connected again",
  },
  call_provider_busy: {
    es: "el proveedor pidió esperar",
    pt: "o provedor pediu para esperar",
    en: "the provider asked to wait",
  },
  call_wrong: {
    es: "la petición del agente no era válida",
    pt: "o pedido do agente não era válido",
    en: "the agent's request was not valid",
  },
  call_other: { es: "código {code}", pt: "código {code}", en: "code {code}" },
  method_initialize: { es: "Se conectó", pt: "Conectou-se", en: "Connected" },
  method_list: { es: "Miró qué hay", pt: "Viu o que existe", en: "Looked at what there is" },
  method_read: { es: "Leyó un recurso", pt: "Leu um recurso", en: "Read a resource" },
  method_prompt: { es: "Tomó una indicación", pt: "Pegou uma instrução", en: "Took a prompt" },
  method_ping: { es: "Señal de vida", pt: "Sinal de vida", en: "Sign of life" },
  method_note: { es: "Aviso del programa", pt: "Aviso do programa", en: "A note of the program" },
  method_batch: {
    es: "Varias llamadas juntas",
    pt: "Várias chamadas juntas",
    en: "Several calls at once",
  },
  method_listen: { es: "Esperó avisos", pt: "Esperou avisos", en: "Listened for notes" },
  method_end: { es: "Se desconectó", pt: "Desconectou-se", en: "Disconnected" },
  method_other: { es: "Otra petición", pt: "Outro pedido", en: "Another request" },
} as const;

/** The text of the pages on which a person narrows or ends what an agent may do. */
const narrowWords = {
  change: { es: "Cambiar", pt: "Alterar", en: "Change" },
  permission_title: {
    es: "Permiso de {agent}",
    pt: "Permissão de {agent}",
    en: "Permission of {agent}",
  },
  narrowed_before: {
    es: "Después de permitirlo le quitaste una parte. Si lo permites ahora, podrá hacer de nuevo todo lo que dice aquí.",
    pt: "Depois de permitir, você retirou uma parte. Se permitir agora, ele poderá fazer de novo tudo o que diz aqui.",
    en: "After you had allowed it, you took a part of it away. If you allow it now, it can do everything again that is said here.",
  },
  narrow_title: { es: "Permitir menos", pt: "Permitir menos", en: "Allow less" },
  narrow_lead: {
    es: "Vale de inmediato, y aquí no se puede deshacer. Para permitir más, u otra cuenta, quita el permiso y deja que el agente te pregunte de nuevo.",
    pt: "Vale imediatamente, e aqui não pode ser desfeito. Para permitir mais, ou outra conta, remova a permissão e deixe o agente perguntar de novo.",
    en: "It holds at once, and cannot be undone here. To allow more, or another account, remove the permission and let the agent ask you again.",
  },
  narrow_tools: {
    es: "Herramientas que puede usar",
    pt: "Ferramentas que pode usar",
    en: "Tools that it may use",
  },
  narrow_tools_hint: {
    es: "Quita la marca de las que ya no debe usar. Si quitas alguna, tampoco podrá usar las que aparezcan después.",
    pt: "Desmarque as que não deve mais usar. Se desmarcar alguma, também não poderá usar as que aparecerem depois.",
    en: "Untick those that it should not use any more. If you untick one, it cannot use tools that appear later either.",
  },
  narrow_until: {
    es: "Hasta qué día (UTC), si ha de terminar por sí solo",
    pt: "Até que dia (UTC), se deve terminar por si só",
    en: "Until which day (UTC), if it should end by itself",
  },
  narrow_no_tools: {
    es: "Todavía no se sabe qué herramientas hay: aparecen cuando un agente las mira por primera vez.",
    pt: "Ainda não se sabe que ferramentas existem: elas aparecem quando um agente as vê pela primeira vez.",
    en: "It is not known yet which tools there are: they appear when an agent looks at them for the first time.",
  },
  narrow_none_left: {
    es: "Deja al menos una herramienta, o quita el permiso.",
    pt: "Deixe pelo menos uma ferramenta, ou remova a permissão.",
    en: "Leave at least one tool, or remove the permission.",
  },
  narrow_tools_cut: {
    es: "Hay más de {most}: aquí están las primeras. Si quitas alguna, tampoco podrá usar las que no se muestran.",
    pt: "Há mais de {most}: aqui estão as primeiras. Se desmarcar alguma, também não poderá usar as que não são mostradas.",
    en: "There are more than {most}: these are the first. If you untick one, it cannot use those that are not shown either.",
  },
  narrow_no_day: {
    es: "Ese día no existe o ya pasó. No se cambió nada.",
    pt: "Esse dia não existe ou já passou. Nada foi alterado.",
    en: "There is no such day, or it is over. Nothing was changed.",
  },
  narrow_later: {
    es: "Termina antes de ese día. No se cambió nada.",
    pt: "Termina antes desse dia. Nada foi alterado.",
    en: "It ends before that day. Nothing was changed.",
  },
  narrow_nothing: {
    es: "No quitaste nada: sigue como estaba.",
    pt: "Você não tirou nada: continua como estava.",
    en: "You took nothing away: it stays as it was.",
  },
  narrow_save: { es: "Permitir solo esto", pt: "Permitir só isto", en: "Allow only this" },
  narrow_saved: {
    es: "Guardado. Vale desde ahora.",
    pt: "Salvo. Vale a partir de agora.",
    en: "Saved. It holds from now on.",
  },
  tools_left: {
    es: "herramientas que le dejaste: {count}",
    pt: "ferramentas que você deixou: {count}",
    en: "tools that you left it: {count}",
  },
  tool_changes: { es: "cambia datos", pt: "altera dados", en: "changes data" },
  remove_title: {
    es: "¿Quitar este permiso?",
    pt: "Remover esta permissão?",
    en: "Remove this permission?",
  },
  remove_lead: {
    es: "{agent} deja de poder usar {account} de inmediato. Si lo necesita otra vez, te preguntará de nuevo.",
    pt: "{agent} deixa de poder usar {account} imediatamente. Se precisar outra vez, perguntará de novo.",
    en: "{agent} can no longer use {account}, from this moment on. If it needs to again, it will ask you.",
  },
  end_session_title: {
    es: "¿Terminar esta sesión?",
    pt: "Encerrar esta sessão?",
    en: "End this session?",
  },
  end_session_lead: {
    es: "La clave de {agent} para {account} deja de valer de inmediato. Para seguir, crea otra sesión.",
    pt: "A chave de {agent} para {account} deixa de valer imediatamente. Para continuar, crie outra sessão.",
    en: "The key of {agent} for {account} stops working at once. To go on, create another session.",
  },
} as const;

/** The text of what wants a person, and of ways to connect an agent. */
const homeWords = {
  wants_you: {
    es: "Requiere tu atención",
    pt: "Requer sua atenção",
    en: "Needs your attention",
  },
  accounts_to_reconnect: {
    es: "Cuentas que hay que volver a conectar",
    pt: "Contas que é preciso conectar novamente",
    en: "Accounts to connect again",
  },
  budgets_low: {
    es: "Llamadas casi agotadas",
    pt: "Chamadas quase esgotadas",
    en: "Calls nearly used up",
  },
  other_country: {
    es: "{provider}: elegir país",
    pt: "{provider}: escolher país",
    en: "{provider}: choose a country",
  },
  connect_agent: { es: "Conectar un agente", pt: "Conectar um agente", en: "Connect an agent" },
  qr_code: {
    es: "Código QR de {url}",
    pt: "Código QR de {url}",
    en: "QR code of {url}",
  },
  connect_agent_lead: {
    es: "Con esta dirección tu agente pide permiso aquí; no hace falta ninguna clave.",
    pt: "Com este endereço seu agente pede permissão aqui; nenhuma chave é necessária.",
    en: "With this address your agent asks you here for permission; no key is needed.",
  },
  activity_of_agents: {
    es: "Ver qué usaron tus agentes y cuándo",
    pt: "Ver o que seus agentes usaram e quando",
    en: "See what your agents used, and when",
  },
  without_key: {
    es: "O sin clave, con un clic:",
    pt: "Ou sem chave, com um clique:",
    en: "Or without a key, with one click:",
  },
  add_to: { es: "Agregar a {client}", pt: "Adicionar ao {client}", en: "Add to {client}" },
} as const;

type Words = Readonly<Record<Language, string>>;

/** The text of every page, in the three languages of its readers. `{name}` is filled in. */
const words = {
  home_title: { es: "Conecta tus cuentas", pt: "Conecte suas contas", en: "Connect your accounts" },
  home_lead: {
    es: "Tus agentes de IA trabajan con tus cuentas a través de este servicio. Nunca ven tu contraseña ni tus credenciales.",
    pt: "Seus agentes de IA trabalham com suas contas por meio deste serviço. Eles nunca veem sua senha nem suas credenciais.",
    en: "Your AI agents work with your accounts through this service. They never see your password or your credentials.",
  },
  connect: { es: "Conectar {provider}", pt: "Conectar {provider}", en: "Connect {provider}" },
  reconnect: { es: "Volver a conectar", pt: "Conectar novamente", en: "Connect again" },
  upstream_not_configured: {
    es: "{upstream} todavía no está configurado aquí. Avisa al operador de este servicio.",
    pt: "{upstream} ainda não está configurado aqui. Avise o operador deste serviço.",
    en: "{upstream} is not configured here yet. Tell the operator of this service.",
  },
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
  ...activityWords,
  ...narrowWords,
  ...homeWords,
} as const satisfies Record<string, Words>;

export type WordName = keyof typeof words;

/** A text in a language, with its `{names}` filled in. Escaping is the page's business. */
export function say(
  language: Language,
  name: WordName,
  values: Readonly<Record<string, string>> = {},
): string {
  return fill(language, words[name][language], values);
}

/** `text` with every `{name}` replaced that `values` knows. */
export function fill(
  language: Language,
  text: string,
  values: Readonly<Record<string, string>>,
): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) =>
    nameIn(language, values[name] ?? whole),
  );
}

/** Providers and upstreams that are called otherwise in a language. */
const names: Readonly<Record<string, Partial<Record<Language, string>>>> = {
  "Mercado Libre": { pt: "Mercado Livre" },
  "Mercado Libre shop": {
    es: "tu tienda de Mercado Libre",
    pt: "sua loja do Mercado Livre",
    en: "your Mercado Libre shop",
  },
};

/** What a provider or an upstream is called in a language. */
export function nameIn(language: Language, title: string): string {
  return names[title]?.[language] ?? title;
}
