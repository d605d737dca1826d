// What a shop does, with the classes of openapi-generator. What they must refuse stands below `@ts-expect-error`,
// which is an error itself where they do not.
import { Configuration, InventoryApi, type Product, ProductsApi, ResponseError } from './wares';
import { ProblemFromJSON } from './wares/models';

const configuration = new Configuration({ accessToken: 'a token' });
const products = new ProductsApi(configuration);
const inventory = new InventoryApi(configuration);

export async function cheapest(): Promise<string[]> {
  try {
    const found = await products.listProducts({ filterStatus: 'active', filterPriceLte: 2000, sort: 'price', limit: 5 });
    return found.flatMap((product) =>
      product.variants.map((it) => `${it.sku} ${it.price?.amount} ${it.availability}`),
    );
  } catch (error) {
    if (!(error instanceof ResponseError)) throw error;
    const problem = ProblemFromJSON(await error.response.json());
    if (problem.code === 'unknown_filter' || problem.code === 'unknown_sort') return [];
    // @ts-expect-error This is no code.
    if (problem.code === 'out_of_paper') return [];
    throw new Error(`${problem.status} ${problem.requestId}: ${problem.errors?.[0]?.pointer}`);
  }
}

export async function create(): Promise<Product> {
  const product = await products.createProduct({
    idempotencyKey: 'cup-1',
    productInput: {
      name: 'Cup',
      status: 'active',
      variants: [{ sku: 'CUP', prices: [{ amount: 1290, currency: 'USD' }] }],
    },
  });
  const version: number = product.version;
  const amount: number | undefined = product.variants[0]?.price?.amount;
  // @ts-expect-error An amount is a number.
  const text: string | undefined = product.variants[0]?.price?.amount;
  return { ...product, description: `${version} ${amount} ${text}` };
}

export async function rename(product: Product): Promise<Product> {
  return products.updateProduct({
    id: product.id,
    ifMatch: `"${product.version}"`,
    productPatch: { name: 'Mug', seo: null },
  });
}

export async function refused() {
  // @ts-expect-error A price is a number.
  await products.listProducts({ filterPriceLte: 'cheap' });
  // @ts-expect-error A product has a name.
  await products.createProduct({ productInput: { status: 'active' } });
  // @ts-expect-error There is no such status.
  await products.createProduct({ productInput: { name: 'Cup', status: 'sold' } });
  // @ts-expect-error An adjustment needs its key.
  await inventory.adjustInventory({ adjustment: { sku: 'CUP', delta: 1, reason: 'received' } });
}
