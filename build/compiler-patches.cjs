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
 * 4. Fields of plain classes lie in an array, each at a place of its own: 8 bytes of heap for a field where an object takes 16
 *    and room to grow, less program, and no search for the name. `plain["field"]`, `{ ...plain }`,
 *    `{ ...rest } = plain`, a field through another type, and an argument or cast of type `any` are errors of the compilation.
 * 5. A file of which only types are imported is not in the program; the compiler would bring all that stands in it.
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
    if (!cls || !cls.members || !ts3.isClassDeclaration(cls)) return false
    if (cls.__plain === undefined) {
        const isPrivate = member => (member.modifiers || []).some(one => one.getText() === "private")
        cls.__plain =
            !cls.getSourceFile().fileName.includes("node_modules") &&
            [...cls.members, ...this.fieldsOf(cls)].some(isPrivate) &&
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
plainClassOf(type) {
    const cls = type && type.symbol && type.symbol.valueDeclaration
    return cls && this.isPlainClass(cls) ? cls : null
}
fieldsOf(cls) {
    const ctor = cls.members.find(ts3.isConstructorDeclaration)
    const parameters = ctor ? ctor.parameters.filter(one => ts3.isParameterPropertyDeclaration(one, ctor)) : []
    return [...cls.members.filter(one => ts3.isPropertyDeclaration(one) && !this.isStatic(one)), ...parameters]
}
plainFields(cls) {
    return this.fieldsOf(cls).map(field => this.forceName(field.name))
}
plainPlace(type, name) {
    const cls = this.plainClassOf(type)
    const place = cls ? this.plainFields(cls).indexOf(name) : -1
    return place < 0 ? null : literal(place)
}
refusePlain(expr, what) {
    if (this.plainClassOf(this.checker.getTypeAtLocation(expr)))
        throwError22(expr, what + ": fields of a plain class can only be reached by their names")
}
plainField(expr) {
    const sym = this.getSymAtLocation(expr)
    const decl = sym && sym.declarations && sym.declarations[0]
    if (!decl) return null
    const cls = ts3.isParameter(decl) ? decl.parent.parent : decl.parent
    if (!this.isPlainClass(cls) || !this.fieldsOf(cls).includes(decl)) return null
    const type = this.checker.getTypeAtLocation(expr.expression)
    if (this.plainClassOf(type) !== cls) throwError22(expr, "a field of a plain class through another type")
    return this.plainPlace(type, this.forceName(expr.name))
}
newPlain(expr) {
    const sym = this.getSymAtLocation(expr.expression)
    if (!sym || !this.isPlainClass(sym.valueDeclaration)) return null
    this.writer.emitStmt(32, literal(this.plainFields(sym.valueDeclaration).length))
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
reachedFiles(prog) {
    const isLibrary = file => file.fileName.includes("node_modules")
    const reached = prog.getSourceFiles().filter(file => file === this.mainFile || isLibrary(file))
    const isOfTypes = ({ isTypeOnly, importClause, exportClause }) => {
        const names = importClause ? importClause.namedBindings : exportClause
        const elements = (names && names.elements) || []
        const isEachType = elements.length > 0 && elements.every(element => element.isTypeOnly)
        return isTypeOnly || (importClause && (importClause.isTypeOnly || (!importClause.name && isEachType)))
    }
    for (const file of reached)
        for (const stmt of file.statements) {
            const module = stmt.moduleSpecifier && !isOfTypes(stmt) && this.checker.getSymbolAtLocation(stmt.moduleSpecifier)
            const target = module && module.valueDeclaration
            if (target && ts3.isSourceFile(target) && !reached.includes(target)) reached.push(target)
        }
    return prog.getSourceFiles().filter(file => reached.includes(file))
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
    ["...prog.getSourceFiles().map(", "...this.reachedFiles(prog).map(", 2],
    ["desc.compiledCallExpr = wr.emitExpr(\n", "desc.compiledCallExpr = this.newPlain(expr) || wr.emitExpr(\n", 2],
    [
        "idx = wr.emitString(this.forceName(expr.name));\n",
        "idx = this.plainField(expr) || wr.emitString(this.forceName(expr.name));\n",
        2,
    ],
    ["wr.emitString(id),\n", "this.plainPlace(this.checker.getTypeAtLocation(cls), id) || wr.emitString(id),\n", 2],
    [
        "wr.emitString(this.forceName(param.name)),\n",
        "this.plainPlace(this.checker.getTypeAtLocation(cls), this.forceName(param.name)) ||" +
            " wr.emitString(this.forceName(param.name)),\n",
        2,
    ],
    [
        "const val = wr.emitIndex(obj.emit(), wr.emitString(pname));\n",
        "const place = this.plainPlace(this.checker.getTypeAtLocation(bindingElt.parent), pname);\n" +
            "const val = wr.emitIndex(obj.emit(), place || wr.emitString(pname));\n",
        2,
    ],
    [
        "const spr = wr.cacheValue(this.cloneObj(obj.emit()));\n",
        'this.refusePlain(bindingElt.parent, "..."); const spr = wr.cacheValue(this.cloneObj(obj.emit()));\n',
        2,
    ],
    [
        "} else if (ts3.isSpreadAssignment(p) && !p.name) {\n",
        '} else if (ts3.isSpreadAssignment(p) && !p.name) { this.refusePlain(p.expression, "...");\n',
        2,
    ],
    [
        "emitElementAccessExpression(expr) {\n",
        'emitElementAccessExpression(expr) { this.refusePlain(expr.expression, "[]");\n',
        2,
    ],
    [
        "checkAsyncFun(formal, arg) {\n",
        'checkAsyncFun(formal, arg) { if (formal.flags & ts3.TypeFlags.Any) this.refusePlain(arg, "any");\n',
        2,
    ],
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
