/**
 * What this project changes in the DeviceScript compiler, as replacements in the text of the CLI's bundle.
 * Fails when a place is not found as often as expected, so that another version of the CLI cannot be taken by mistake.
 *
 * 1. Reproducible: the version stamp with the time of day is left out.
 * 2. No names of functions in the image: 3 KB of an appliance. Panics report `pc` and `F<number>`; the debug information
 *    beside the image (`functions`, `srcmap`) has the names and lines that belong to them.
 * 3. Methods of plain classes are called directly. The compiler writes a class as an object of its methods, built when the
 *    program starts: 16 bytes of the 64 KB heap and some 25 bytes of image for each method, and a look-up by name for each
 *    call. Where the checker knows which method is meant, the reference is bound to the object at once, with the same
 *    instruction that the compiler uses for `super(...)`, and the look-up object is not filled at all.
 *    Only for classes that neither extend nor are extended, and that have a private member: TypeScript then lets nothing
 *    but `new` make a value of that type. Any other use (through an interface, `any`, by name) keeps the usual way.
 */
"use strict"

const directMethods = `
directMethod(expr) {
    const sym = this.getSymAtLocation(expr)
    const decl = sym && sym.valueDeclaration
    if (!decl || sym.declarations.length !== 1 || !decl.body || !decl.name) return null
    if (!this.isPlainClass(decl.parent) || this.isStatic(decl)) return null
    const object = this.emitExpr(expr.expression)
    return this.writer.emitExpr(15, this.methodProc(decl).reference(this.writer), object)
}
isPlainClass(cls) {
    if (!cls || !cls.members) return false
    if (cls.__plain === undefined) {
        const isPrivate = member => (member.modifiers || []).some(one => one.getText() === "private")
        cls.__plain =
            cls.members.some(isPrivate) &&
            this.superTypes(cls).length === 0 &&
            !this.extendedClasses().includes(this.getSymAtLocation(cls))
    }
    return cls.__plain
}
superTypes(cls) {
    const extending = (cls.heritageClauses || []).filter(clause => clause.getText().startsWith("extends"))
    return extending.flatMap(clause => clause.types)
}
extendedClasses() {
    if (!this.__extended) {
        const classes = this.tree.getSourceFiles().flatMap(file => file.statements.filter(one => one.members))
        const types = classes.flatMap(cls => this.superTypes(cls)).map(type => this.checker.getTypeAtLocation(type))
        this.__extended = types.map(type => type.symbol)
    }
    return this.__extended
}
methodProc(decl) {
    if (!decl.__proc) {
        decl.__proc = new Procedure(this, this.forceName(decl.name), decl)
        this.__waiting = [...(this.__waiting || []), decl]
    }
    return decl.__proc
}
emitWaitingMethods() {
    const waiting = this.__waiting || []
    this.__waiting = []
    for (const decl of waiting) this.emitFunction(decl, decl.__proc)
    return waiting.length
}
`

/** Text, its replacement, and how often it stands in the bundle, which holds the compiler twice. */
const replacements = [
    ["function isGit() {", "function isGit() { return false;", 1],
    [
        'this.nameIdx = this.prog.addString(this.name.replace(/_F\\d+$/, ""));',
        'this.nameIdx = this.prog.addString("");',
        2,
    ],
    [
        "const { obj, idx } = this.tryEmitIndex(expr);\n",
        "const direct = this.directMethod(expr); if (direct) return direct; const { obj, idx } = this.tryEmitIndex(expr);\n",
        2,
    ],
    ["emitMethod(meth) {", `${directMethods} emitMethod(meth) {`, 2],
    [
        "const proc = new Procedure(this, this.forceName(meth.name), meth);\n",
        "const proc = this.methodProc(meth);\n",
        2,
    ],
    ["this.emitFunction(meth, proc);\n", "\n", 2],
    ["if (numemit == 0)\n", "numemit += this.emitWaitingMethods(); if (numemit == 0)\n", 2],
    ["this.markMethodUsed(info.names[0]);", "if (!this.isPlainClass(stmt)) this.markMethodUsed(info.names[0]);", 2],
    // A method that is taken out of its object by destructuring is looked up by name.
    ["usedFields.push(pname);\n", 'usedFields.push(pname); this.markMethodUsed("*" + pname);\n', 2],
]

exports.patchCompiler = source =>
    replacements.reduce((text, [wanted, replacement, times]) => {
        const parts = text.split(wanted)
        if (parts.length !== times + 1)
            throw new Error(
                `the DeviceScript bundle holds "${wanted.trim()}" ${parts.length - 1} times, not ${times}: is ` +
                    "@devicescript/cli 2.16.4 installed?",
            )
        return parts.join(replacement)
    }, source)
