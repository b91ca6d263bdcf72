/**
 * What this project changes in the DeviceScript compiler, as replacements in the text of the CLI's bundle.
 * Fails when a place is not found as often as expected, so that another version of the CLI cannot be taken by mistake.
 *
 * 1. Reproducible: in place of a version with the time of day the program carries the one that `compile.cjs` is given
 *    (`ds._dcfgString("@version")`).
 * 2. No names of functions in the image: 3 KB of an appliance. Panics report `pc` and `F<number>`; the debug information
 *    beside the image (`functions`, `srcmap`) has the names and lines that belong to them.
 * 3. Plain classes cost nothing at run time. The compiler writes a class as an object of its methods, built when the program
 *    starts: 16 bytes of the 64 KB heap and some 25 bytes of image for each method, at least 84 for each class, and a
 *    look-up by name for each call. Where the checker knows which method is meant, the reference is bound to the object at
 *    once, with the instruction that the compiler uses for `super(...)`, and there is no look-up object at all.
 *    Plain are classes of this project that neither extend nor are extended, stand in no `instanceof`, and have a private member: TypeScript
 *    then lets nothing but `new` make a value of that type. A call of a method of such a name that the checker cannot tell
 *    (through an interface or `any`) is an error of the compilation.
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
            !cls.getSourceFile().fileName.includes("node_modules") &&
            cls.members.some(isPrivate) &&
            this.superTypes(cls).length === 0 &&
            !this.instanceofNames().includes(cls.name && cls.name.text) &&
            !this.extendedClasses().includes(this.getSymAtLocation(cls))
    }
    return cls.__plain
}
instanceofNames() {
    if (!this.__instanceof)
        this.__instanceof = this.tree
            .getSourceFiles()
            .flatMap(file => [...file.text.matchAll(/instanceof\\s+(\\w+)/g)].map(match => match[1]))
    return this.__instanceof
}
newPlain(expr) {
    const sym = this.getSymAtLocation(expr.expression)
    if (!sym || !this.isPlainClass(sym.valueDeclaration)) return null
    this.writer.emitStmt(31)
    return this.writer.emitExpr(15, this.emitExpr(expr.expression), this.retVal())
}
noteUnknownCall(expr) {
    const sym = this.getSymAtLocation(expr)
    const isLibrary = sym && sym.valueDeclaration && sym.valueDeclaration.getSourceFile().isDeclarationFile
    if (!isLibrary && expr.parent && expr.parent.expression === expr && expr.parent.arguments)
        this.usedMethods["call " + expr.name.text] = expr
}
isPlainMethod(definition) {
    const decl = definition.methodDecl
    if (!decl || this.isStatic(decl) || !this.isPlainClass(decl.parent)) return false
    const call = this.usedMethods["call " + definition.methodName]
    if (call)
        this.reportError(
            call,
            "it is not known whose " + definition.methodName + " is called, and plain classes have a method of that name",
        )
    return true
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
        'let version = (_b = pkgJSON.version) != null ? _b : "(no version)";\n',
        'let version = lcfg.hwInfo["@version"] = globalThis.programVersion;\n',
        1,
    ],
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
    ["const needsEmit = (p) => {\n", "const needsEmit = (p) => {\nif (this.isPlainMethod(p)) return false;\n", 2],
    [
        'this.markMethodUsed("*" + idName(expr.name));\n',
        'this.markMethodUsed("*" + idName(expr.name)); this.noteUnknownCall(expr);\n',
        2,
    ],
    ["desc.compiledCallExpr = wr.emitExpr(\n", "desc.compiledCallExpr = this.newPlain(expr) || wr.emitExpr(\n", 2],
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
