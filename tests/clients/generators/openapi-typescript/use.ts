// What a shop does, in the types of openapi-typescript. What they must refuse stands below `@ts-expect-error`,
// which is an error itself where they do not.
import createClient from 'openapi-fetch';
import type { components, paths } from './wares';

type Product = components['schemas']['Product'];

const client = createClient<paths>({ baseUrl: 'http://127.0.0.1:8080/api/v1' });

export async function cheapest(): Promise<string[]> {
  const { data, error } = await client.GET('/products', {
    params: { query: { 'filter[status]': 'active', 'filter[price][lte]': 2000, sort: 'price', limit: 5 } },
  });
  if (error) {
    if (error.code === 'unknown_filter' || error.code === 'unknown_sort') return [];
    // @ts-expect-error This is no code.
    if (error.code === 'out_of_paper') return [];
    throw new Error(`${error.status} ${error.code} in ${error.requestId}: ${error.errors?.[0]?.pointer}`);
  }
  return data.flatMap((product) => product.variants.map((it) => `${it.sku} ${it.price?.amount} ${it.availability}`));
}

export async function create(): Promise<Product> {
  const { data, error, response } = await client.POST('/products', {
    params: { header: { 'Idempotency-Key': 'cup-1' } },
    body: {
      name: 'Cup',
      status: 'active',
      variants: [{ sku: 'CUP', prices: [{ amount: 1290, currency: 'USD' }] }],
    },
  });
  if (error) throw new Error(error.code === 'already_exists' ? 'there is one already' : error.title);
  const location: string | null = response.headers.get('location');
  const version: number = data.version;
  const amount: number | undefined = data.variants[0]?.price?.amount;
  // @ts-expect-error An amount is a number.
  const text: string | undefined = data.variants[0]?.price?.amount;
  return { ...data, description: `${location} ${version} ${amount} ${text}` };
}

export async function rename(product: Product): Promise<Product> {
  const { data, error } = await client.PATCH('/products/{id}', {
    params: { path: { id: product.id }, header: { 'If-Match': `"${product.version}"` } },
    body: { name: 'Mug', seo: null },
  });
  if (error) throw new Error(error.code);
  return data;
}

export async function refused() {
  // @ts-expect-error There is no such path.
  await client.GET('/product');
  // @ts-expect-error A price is a number.
  await client.GET('/products', { params: { query: { 'filter[price][lte]': 'cheap' } } });
  // @ts-expect-error A product has a name.
  await client.POST('/products', { body: { status: 'active' } });
  // @ts-expect-error There is no such status.
  await client.POST('/products', { body: { name: 'Cup', status: 'sold' } });
  // @ts-expect-error An adjustment needs its key.
  await client.POST('/inventory/adjustments', { body: { sku: 'CUP', delta: 1, reason: 'received' } });
}
