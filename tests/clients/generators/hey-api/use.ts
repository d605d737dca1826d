// What a shop does, with the functions of @hey-api/openapi-ts. What they must refuse stands below `@ts-expect-error`,
// which is an error itself where they do not.
import { adjustInventory, createProduct, listProducts, updateProduct, type Product } from './wares';
import { client } from './wares/client.gen';

client.setConfig({ baseUrl: 'http://127.0.0.1:8080/api/v1', auth: () => 'a token' });

export async function cheapest(): Promise<string[]> {
  const { data, error } = await listProducts({
    query: { 'filter[status]': 'active', 'filter[price][lte]': 2000, sort: 'price', limit: 5 },
  });
  if (data === undefined) {
    if (error.code === 'unknown_filter' || error.code === 'unknown_sort') return [];
    // @ts-expect-error This is no code.
    if (error.code === 'out_of_paper') return [];
    throw new Error(`${error.status} ${error.code} in ${error.requestId}: ${error.errors?.[0]?.pointer}`);
  }
  return data.flatMap((product) => product.variants.map((it) => `${it.sku} ${it.price?.amount} ${it.availability}`));
}

export async function create(): Promise<Product> {
  const { data, error } = await createProduct({
    headers: { 'Idempotency-Key': 'cup-1' },
    body: {
      name: 'Cup',
      status: 'active',
      variants: [{ sku: 'CUP', prices: [{ amount: 1290, currency: 'USD' }] }],
    },
  });
  if (data === undefined) throw new Error(error.code === 'already_exists' ? 'there is one already' : error.title);
  const version: number = data.version;
  const amount: number | undefined = data.variants[0]?.price?.amount;
  // @ts-expect-error An amount is a number.
  const text: string | undefined = data.variants[0]?.price?.amount;
  return { ...data, description: `${version} ${amount} ${text}` };
}

export async function rename(product: Product): Promise<Product> {
  const { data } = await updateProduct({
    path: { id: product.id },
    headers: { 'If-Match': `"${product.version}"` },
    body: { name: 'Mug', seo: null },
    throwOnError: true,
  });
  return data;
}

export async function refused() {
  // @ts-expect-error A price is a number.
  await listProducts({ query: { 'filter[price][lte]': 'cheap' } });
  // @ts-expect-error A product has a name.
  await createProduct({ body: { status: 'active' } });
  // @ts-expect-error There is no such status.
  await createProduct({ body: { name: 'Cup', status: 'sold' } });
  // @ts-expect-error An adjustment needs its key.
  await adjustInventory({ body: { sku: 'CUP', delta: 1, reason: 'received' } });
}
