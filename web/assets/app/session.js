/** Where the pages keep the token of the reader, for as long as the tab is open. */
export const TOKEN = 'harmont-billing-token';
