export async function measureOthers(_p: (t: string) => void): Promise<Record<string, number>> {
    return {}
}
