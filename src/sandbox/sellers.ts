/** Who can sign in at a simulated provider. */
export type Seller = { readonly id: string; readonly name: string; readonly site: string };

export const sellers: readonly Seller[] = [
  { id: "100200300", name: "TIENDA_DEMO", site: "MLA" },
  { id: "100200301", name: "LOJA_EXEMPLO", site: "MLB" },
  { id: "100200302", name: "TIENDA_MX", site: "MLM" },
];
