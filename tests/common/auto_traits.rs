//! Tables of the auto traits of types.

/// Whether `$type` implements `$trait`: the inherent constant is found first where its bound holds.
macro_rules! implements {
    ($type:ty, $trait:path) => {{
        trait _Otherwise {
            const _ANSWER: bool = false;
        }
        impl<T: ?Sized> _Otherwise for T {}
        struct _Probe<T: ?Sized>(std::marker::PhantomData<T>);
        impl<T: ?Sized + $trait> _Probe<T> {
            const _ANSWER: bool = true;
        }
        <_Probe<$type>>::_ANSWER
    }};
}

macro_rules! table {
    ($($type:ty: $send:literal $sync:literal $unpin:literal;)*) => {$(
        let found = (
            implements!($type, Send),
            implements!($type, Sync),
            implements!($type, Unpin),
        );
        assert_eq!(found, ($send, $sync, $unpin), "Send, Sync, Unpin of {}", stringify!($type));
    )*};
}

pub(crate) use implements;
pub(crate) use table;
