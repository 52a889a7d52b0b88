declare module "*/LICENSE" {
  const text: string;
  // oxlint-disable-next-line import/no-default-export -- how a text import looks to TypeScript
  export default text;
}

declare module "*/THIRD_PARTY_NOTICES" {
  const text: string;
  // oxlint-disable-next-line import/no-default-export -- how a text import looks to TypeScript
  export default text;
}
