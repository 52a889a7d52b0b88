declare module "*.sql" {
  const text: string;
  // oxlint-disable-next-line import/no-default-export -- how a text import looks to TypeScript
  export default text;
}
