/** The text of the pages on which a person decides what agents may do. */
export const agentWords = {
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
