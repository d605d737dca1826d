// What a shop does, with the functions of orval. What they must refuse stands below `@ts-expect-error`, which is an
// error itself where they do not.
import { createProduct, listProducts, updateProduct } from './wares';
import type { Product } from './wares.schemas';

export async function cheapest(): Promise<string[]> {
  const answer = await listProducts({
    'filter[status]': 'active',
    'filter[price][lte]': 2000,
    sort: 'price',
    limit: 5,
  });
  if (answer.status === 400) {
    if (answer.data.code === 'unknown_filter' || answer.data.code === 'unknown_sort') return [];
    // @ts-expect-error This is no code.
    if (answer.data.code === 'out_of_paper') return [];
    throw new Error(`${answer.data.requestId}: ${answer.data.errors?.[0]?.pointer}`);
  }
  if (answer.status !== 200) throw new Error(String(answer.status));
  return answer.data.flatMap((product) =>
    product.variants.map((it) => `${it.sku} ${it.price?.amount} ${it.availability}`),
  );
}

export async function create(): Promise<Product> {
  const answer = await createProduct(
    {
      name: 'Cup',
      status: 'active',
      variants: [{ sku: 'CUP', prices: [{ amount: 1290, currency: 'USD' }] }],
    },
    { headers: { 'Idempotency-Key': 'cup-1' } },
  );
  if (answer.status === 409) throw new Error(answer.data.code === 'already_exists' ? 'taken' : answer.data.title);
  if (answer.status !== 201) throw new Error(String(answer.status));
  const version: number = answer.data.version;
  const amount: number | undefined = answer.data.variants[0]?.price?.amount;
  // @ts-expect-error An amount is a number.
  const text: string | undefined = answer.data.variants[0]?.price?.amount;
  return { ...answer.data, description: `${version} ${amount} ${text}` };
}

export async function rename(product: Product): Promise<Product> {
  const answer = await updateProduct(
    product.id,
    { name: 'Mug', seo: null },
    { headers: { 'If-Match': `"${product.version}"` } },
  );
  if (answer.status !== 200) throw new Error(String(answer.status));
  return answer.data;
}

export async function refused() {
  // @ts-expect-error A price is a number.
  await listProducts({ 'filter[price][lte]': 'cheap' });
  // @ts-expect-error A product has a name.
  await createProduct({ status: 'active' });
  // @ts-expect-error There is no such status.
  await createProduct({ name: 'Cup', status: 'sold' });
}
