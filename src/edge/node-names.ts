/** Words that people can tell apart on the telephone; their order is part of every node's name and stays. */
export const adjectives = (
  "able amber bold brave bright brisk calm clear clever cool crisp deep dry eager early fair fast fine firm " +
  "fresh gentle glad golden good grand great green happy hardy honest humble jolly keen kind late light lively " +
  "loyal lucky mellow merry mild neat new noble open plain polite proud quick quiet rapid ready rich robust " +
  "round royal sharp silent silver smart smooth solid sunny swift"
).split(" ");

export const animals = (
  "ant bear bee bison boar bull camel cat cobra cow crab crane crow deer dog dove duck eagle eel elk falcon " +
  "finch fox frog goat goose gull hare hawk hen heron horse ibex jay koala lark lion llama lynx mole moose " +
  "mouse mule newt otter owl ox panda puma quail rabbit ram raven robin seal shark sheep snail stork swan " +
  "tiger toad trout turtle whale wolf"
).split(" ");
