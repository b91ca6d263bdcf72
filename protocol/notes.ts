/**
 * The shapes of `messages.ts` that an appliance receives, in a notation that it checks in place, from flash: as objects they
 * would take a quarter of its heap. A test compares each note with its shape, so that they cannot drift apart.
 *
 *   i<min>~<max>   integer            t<min>~<max>   text of so many bytes
 *   o              a code: a text of 1..24 bytes. Codes of a newer server are no reason to refuse a message.
 *   l<min>~<max><item>   list         {name:shape,name?:shape}   record; further fields are ignored
 */

/** A session of the agenda. */
export const itemNote = "{sid:t1~24,title:t0~48,from:t0~48,mine:i0~1,start:i0~32503680000,end:i0~32503680000,state:o}"

/** How the former life ended, as it was kept in flash. */
export const crashNote = "{kind:t1~24,text:t0~224,boot:i0~4294967295,seconds:i0~4294967295,log:t0~288}"

export const answerNotes = `
hello={re:i1~4294967295,nowMs:i0~32503680000000,name:t0~48}
time={re:i1~4294967295,nowMs:i0~32503680000000}
candidates={re:i1~4294967295,list:l0~8{rs:t1~24,ip:t7~15,port:i1~65535,load:i0~100}}
directory={re:i1~4294967295,list:l0~8{id:t1~24,name:t0~48,kind:o},next?:i0~65535}
book={re:i1~4294967295,sid:t1~24,start:i0~32503680000,end:i0~32503680000}
attach={re:i1~4294967295,load:i0~100}
join={re:i1~4294967295,sid:t1~24,ip:t7~15,port:i1~65535,ssrc:i1~4294967295,pt:i0~127,frameMs:i10~60,people:i1~64,key:t80~80}
`

export const messageNotes = `
roster={sid:t1~24,people:i0~64,speaker?:t1~48,rec?:i0~1,loss?:i1~100}
bye={sid?:t1~24,reason:o}
refused={re:i1~4294967295,reason:o,what?:t0~64,who:o,next?:i0~32503680000}
done={re:i1~4294967295}
`
