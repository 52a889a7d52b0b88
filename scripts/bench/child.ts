/** Tells the parent where this process listens; it ends with its parent, however that ends. */
export function announce(
  ready: { readonly url: string },
  end: () => void = () => process.exit(0),
): void {
  process.on("disconnect", end);
  process.send?.(ready);
}
