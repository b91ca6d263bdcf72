/**
 * `parley device ...`: an appliance at the end of a serial cable: look, configure, diagnose, deploy. What each verb does
 * stands in cli/device/, and is loaded when it is asked for: jacdac-ts costs every other command half a second.
 */
import type { Action, Shell } from "../shell.ts"

type Actions = typeof import("../device/actions.ts")

const portOption: [string, string] = [
    "--port <path>",
    "serial port (PARLEY_PORT): /dev/ttyACM0, or what `parley board serial` says",
]

export function addDeviceCommands(shell: Shell): void {
    const device = shell.noun("device", "an appliance on a serial port: state, configuration, Wi-Fi, log, diagnosis")
    device.option(...portOption)
    const config = device.command("config").description("what is configured on it, and changing that")
    const wifi = device.command("wifi").description("its radio and its networks")
    const verb = (
        parent: typeof device,
        name: string,
        about: string,
        action: keyof Actions,
        more: { options?: [string, string][]; examples?: string[] } = {},
    ) =>
        shell.verb(parent, {
            name,
            about,
            options: [portOption, ...(more.options ?? [])],
            examples: more.examples,
            run: later(action),
        })

    verb(device, "status", "who it is, in which phase, its health, firmware and network", "status")
    verb(device, "doctor", "what keeps it from working: the first of ten checks that fails, and what to do", "doctor", {
        examples: ["parley device doctor --port /dev/ttyACM0"],
    })
    verb(device, "logs", "its log, for some seconds or until interrupted", "logs", {
        options: [
            ["--seconds <number>", "how long to listen (default 3)"],
            ["--follow", "until Ctrl-C"],
        ],
    })
    verb(device, "console", "its log, its phases and the packets on its bus, until Ctrl-C", "consoleOf", {
        options: [["--seconds <number>", "end after so many seconds"]],
    })
    verb(device, "identify", "blink and sound, to see which one it is", "identify")
    verb(device, "reboot", "start again", "reboot")
    verb(device, "deploy <file>", "write a program (.devs) into it and compare its hash", "deploy", {
        examples: ["parley device deploy .build/firmware/room-panel.devs --port /dev/ttyACM0"],
    })
    verb(device, "reset", "erase Wi-Fi, identity, secret, broker and schedule (asks; --yes)", "reset")

    verb(config, "get [key]", "id, broker, zoneMinutes; of the secret only whether there is one", "configGet")
    verb(config, "set <key> <value>", "change one; id, secret and broker are tried first", "configSet", {
        examples: [
            "parley device config set broker mqtt://192.168.1.4:1883",
            "parley device config set secret @board-a.secret",
        ],
    })
    const presentPassword: [string, string] = [
        "--present-password-file <file>",
        "password of the network it works on now: the way back",
    ]
    verb(config, "apply <file>", "make it as the file says; what cuts it off is tried first", "configApply", {
        options: [presentPassword],
    })
    verb(config, "diff <file>", "what apply would change; exit code 1 when something differs", "configDiff")

    verb(wifi, "scan", "networks that it hears", "wifiScan")
    verb(wifi, "add <name>", "join a network, if it gives an address", "wifiAdd", {
        options: [
            ["--password-file <file>", "its password (- for standard input); without: an open network"],
            presentPassword,
        ],
    })
    verb(wifi, "forget", "forget its network", "wifiForget")
}

function later(action: keyof Actions): Action {
    return async call => (await import("../device/actions.ts"))[action](call)
}
